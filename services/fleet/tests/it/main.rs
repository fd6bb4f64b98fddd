//! The development stack and the command line, on real servers.
mod command_line;
mod servers;
mod stack;
