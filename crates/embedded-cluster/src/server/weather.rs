//! What befalls connections: all those of a server, or those of a single client.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

/// What goes wrong on the way between a server and its clients. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How long the server waits before it sends each answer.
    pub delay: Duration,
    /// Requests vanish: they are not carried out, and nothing comes back. The connections stay open.
    pub lose_requests: bool,
    /// Requests are carried out, and nothing comes back. The connections stay open.
    pub lose_replies: bool,
    /// New connections are closed at once; those of a single client when it has said who it is.
    pub refuse: bool,
    /// The server stands still, as one whose process is stopped: connections stay open and new ones come about, but nothing is read
    /// and nothing is sent. What was sent to it meanwhile is answered when this ends.
    pub freeze: bool,
}

impl Faults {
    /// Both at once.
    fn and(self, other: Self) -> Self {
        Self {
            delay: self.delay.max(other.delay),
            lose_requests: self.lose_requests || other.lose_requests,
            lose_replies: self.lose_replies || other.lose_replies,
            refuse: self.refuse || other.refuse,
            freeze: self.freeze || other.freeze,
        }
    }
}

/// What befalls connections, and which cut was the last, by its number.
#[derive(Clone, Copy, Debug, Default)]
struct Strike {
    faults: Faults,
    cut: u64,
}

/// What a server's connections look at.
#[derive(Debug, Default)]
struct State {
    everybody: Strike,
    /// By what clients call themselves.
    clients: BTreeMap<String, Strike>,
    /// How many cuts there were, of whomever.
    cuts: u64,
}

impl State {
    /// What befalls a client; one that has not said who it is has only its part in what befalls everybody.
    fn strike(&self, client: Option<&String>) -> Strike {
        let own = client.and_then(|client| self.clients.get(client));
        let own = own.copied().unwrap_or_default();
        Strike {
            faults: self.everybody.faults.and(own.faults),
            cut: self.everybody.cut.max(own.cut),
        }
    }
}

/// The faults of one server, which outlive its port.
#[derive(Clone, Debug)]
pub(super) struct Weather(Arc<watch::Sender<State>>);

impl Weather {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    pub(super) fn set(&self, faults: Faults) {
        self.0.send_modify(|state| state.everybody.faults = faults);
    }

    /// What befalls a single client, besides what befalls everybody.
    pub(super) fn set_for(&self, client: &str, faults: Faults) {
        self.0.send_modify(|state| {
            let strike = state.clients.entry(client.to_owned()).or_default();
            strike.faults = faults;
        });
    }

    /// What befalls everybody.
    pub(super) fn faults(&self) -> Faults {
        self.0.borrow().everybody.faults
    }

    /// Returns once the server does not stand still.
    pub(super) async fn thawed(&self) {
        self.expose().thawed().await;
    }

    /// Ends every connection that there is.
    pub(super) fn cut(&self) {
        self.0.send_modify(|state| {
            state.cuts += 1;
            state.everybody.cut = state.cuts;
        });
    }

    /// Ends every connection of a client.
    pub(super) fn cut_off(&self, client: &str) {
        self.0.send_modify(|state| {
            state.cuts += 1;
            let strike = state.clients.entry(client.to_owned()).or_default();
            strike.cut = state.cuts;
        });
    }

    /// A connection begins.
    pub(super) fn expose(&self) -> Exposure {
        Exposure {
            began: self.0.borrow().cuts,
            weather: self.clone(),
            client: Arc::default(),
        }
    }
}

/// What befalls one connection.
#[derive(Clone, Debug)]
pub(super) struct Exposure {
    weather: Weather,
    /// How many cuts there were before it.
    began: u64,
    /// Whose it is, once that is known.
    client: Arc<OnceLock<String>>,
}

impl Exposure {
    fn strike(&self) -> Strike {
        self.weather.0.borrow().strike(self.client.get())
    }

    pub(super) fn faults(&self) -> Faults {
        self.strike().faults
    }

    /// Says whose connection it is, for the first time; `false` where it is to end because of that.
    pub(super) fn introduce(&self, client: &str) -> bool {
        self.client.get_or_init(|| client.to_owned());
        let strike = self.strike();
        !strike.faults.refuse && strike.cut <= self.began
    }

    /// Returns once the connection does not stand still.
    pub(super) async fn thawed(&self) {
        if self.faults().freeze {
            let mut states = self.weather.0.subscribe();
            // The sender is this value's own.
            let is_over = |state: &State| !state.strike(self.client.get()).faults.freeze;
            let _ = states.wait_for(is_over).await;
        }
    }

    /// Returns when the connection is to end.
    pub(super) fn until_cut(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut states = self.weather.0.subscribe();
        let (began, client) = (self.began, Arc::clone(&self.client));
        async move {
            let is_cut = |state: &State| state.strike(client.get()).cut > began;
            // The sender lives as long as the server; without it the connection has nothing to live for either.
            let _ = states.wait_for(is_cut).await;
        }
    }
}
