//! The shell with a real context on it, in memory.
mod fleet;
