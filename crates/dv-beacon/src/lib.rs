//! Beacon nodes, and the API that validator clients use.
