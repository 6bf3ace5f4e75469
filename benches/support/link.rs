//! A slow line: whatever goes into a port comes out at another one some time later.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Bytes of one piece.
const PIECE: usize = 64 << 10;
/// Pieces on their way: what is beyond waits in the sockets.
const PIECES: usize = 256;

/// Carries all connections of a listener to an address, for as long as the program runs.
pub(crate) fn carry(listener: TcpListener, to: SocketAddr, delay: Duration) {
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(to) else { continue };
            // A line has no Nagle of its own.
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            if let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) {
                one_way(near, far, delay);
                one_way(far_too, near_too, delay);
            }
        }
    });
}

fn one_way(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (put, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(PIECES);
    std::thread::spawn(move || {
        let mut room = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut room) {
            if put.send((Instant::now() + delay, room[..read].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, piece) in pieces {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
