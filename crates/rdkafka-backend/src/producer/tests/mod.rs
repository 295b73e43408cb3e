mod config;
mod flight;
