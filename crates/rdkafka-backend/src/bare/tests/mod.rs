mod consumer;
mod producer;
