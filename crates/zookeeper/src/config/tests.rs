use super::*;

fn parsed(connect: &str) -> (Vec<String>, Option<String>) {
    let parsed = ConnectString::parse(connect).expect(connect);
    (parsed.servers, parsed.chroot)
}

#[test]
fn takes_servers_default_ports_and_a_chroot_apart() {
    for (connect, servers, chroot) in [
        ("zk1", vec!["zk1:2181"], None),
        ("zk1:2182/", vec!["zk1:2182"], None),
        (
            "zk1,zk2:99,zk3/a/b",
            vec!["zk1:2181", "zk2:99", "zk3:2181"],
            Some("/a/b"),
        ),
        (" zk1 , zk2:99 ", vec!["zk1:2181", "zk2:99"], None),
        (
            "[::1]:2182,[fe80::1]/k",
            vec!["[::1]:2182", "[fe80::1]:2181"],
            Some("/k"),
        ),
    ] {
        let servers: Vec<String> = servers.into_iter().map(str::to_owned).collect();
        assert_eq!(
            parsed(connect),
            (servers, chroot.map(str::to_owned)),
            "{connect}"
        );
    }
}

#[test]
fn refuses_what_names_no_server_or_chroot() {
    for connect in [
        "",
        "/chroot",
        "zk1,",
        ",zk1",
        "zk1:",
        "zk1:port",
        "zk1:0",
        "zk1:70000",
        "z k:1",
        "::1:2181",
        "[::1",
        "zk1/a/",
        "zk1//a",
        "zk1/a//b",
        "zk1/a/../b",
        "zk1/a,zk2/b/",
    ] {
        let error = ConnectString::parse(connect).expect_err(connect);
        assert!(
            matches!(
                error,
                Error::Config {
                    field: "connect",
                    ..
                }
            ),
            "{connect}: {error}"
        );
    }
}

#[test]
fn prints_a_connect_string_that_reads_back() {
    for connect in ["zk1:2181", "[::1]:2181,zk2:99/a/b"] {
        assert_eq!(ConnectString::parse(connect).unwrap().to_string(), connect);
    }
}

#[test]
fn names_the_field_that_is_wrong() {
    let good = Config::new("zk1");
    good.validate().unwrap();
    let digest = |username: &str| {
        vec![Auth::Digest {
            username: username.to_owned(),
            password: "p".to_owned(),
        }]
    };
    for (config, field) in [
        (
            Config {
                session_timeout: Duration::ZERO,
                ..good.clone()
            },
            "session_timeout",
        ),
        (
            Config {
                session_timeout: Duration::MAX,
                ..good.clone()
            },
            "session_timeout",
        ),
        (
            Config {
                connect_timeout: Duration::ZERO,
                ..good.clone()
            },
            "connect_timeout",
        ),
        (
            Config {
                request_timeout: Duration::ZERO,
                ..good.clone()
            },
            "request_timeout",
        ),
        (
            Config {
                max_frame: 1 << 20,
                ..good.clone()
            },
            "max_frame",
        ),
        (
            Config {
                acl: Acl::Creator,
                ..good.clone()
            },
            "acl",
        ),
        (
            Config {
                auth: digest(""),
                ..good.clone()
            },
            "auth",
        ),
        (
            Config {
                auth: digest("a:b"),
                ..good.clone()
            },
            "auth",
        ),
    ] {
        match config.validate() {
            Err(Error::Config { field: wrong, .. }) => assert_eq!(wrong, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let secured = Config {
        acl: Acl::Creator,
        auth: digest("user"),
        ..good
    };
    secured.validate().unwrap();
}

#[test]
fn never_prints_a_password() {
    let config = Config {
        auth: vec![Auth::Digest {
            username: "user".to_owned(),
            password: "canary".to_owned(),
        }],
        ..Config::new("zk1")
    };
    let printed = format!("{config:?}");
    assert!(
        printed.contains("user") && !printed.contains("canary"),
        "{printed}"
    );
}
