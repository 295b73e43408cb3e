//! Broker connections, cluster metadata and the fetch path of divvy.
