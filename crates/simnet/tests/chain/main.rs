//! The simulated chain, from inside and over sockets.

mod faults;
mod fuzz;
mod http;
mod life;
mod rules;
mod server;
mod signatures;
mod world;
