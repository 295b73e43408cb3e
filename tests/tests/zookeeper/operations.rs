//! What the operations do to nodes.

use anyhow::Result;
use divvy_tests::{KafkaVersion, tests_on, unique, wait_for};
use divvy_zookeeper::documents::TopicAssignment;
use divvy_zookeeper::{
    Acl, Auth, ChangeKind, Config, Create, CreatePersistent, Delete, DeleteChecked, Error, Set,
    SetData, SetMany, State, paths,
};

use crate::{SOON, change, created, session, shared, zookeeper};

tests_on!(
    [embedded = Embedded0_8_2, kafka_0_8_2_2 = V0_8_2_2],
    as_task,
    operations_have_their_outcomes,
    a_transaction_is_done_whole_or_not_at_all,
    a_checked_delete_says_what_was_in_its_way,
    an_ephemeral_node_is_ours_or_somebody_else_s,
    brokers_and_topics_are_read_and_created,
    an_acl_keeps_others_out,
    a_chroot_is_the_root_of_everything
);

async fn operations_have_their_outcomes(version: KafkaVersion) -> Result<()> {
    let session = session(version).await;
    let root = format!("/{}", unique("operations"));
    let (a, b, missing) = (
        format!("{root}/x/a"),
        format!("{root}/x/b"),
        format!("{root}/missing"),
    );

    assert_eq!(
        session.create_persistent(&a, b"1").await.unwrap(),
        CreatePersistent::Created
    );
    assert_eq!(
        session.create_persistent(&a, b"2").await.unwrap(),
        CreatePersistent::Exists
    );
    assert_eq!(
        session.create_persistent(&b, b"").await.unwrap(),
        CreatePersistent::Created
    );
    let node = session.get(&a).await.unwrap().unwrap();
    assert_eq!(
        (
            node.data.as_slice(),
            node.stat.version,
            node.stat.ephemeral_owner
        ),
        (&b"1"[..], 0, 0)
    );
    assert_eq!(session.exists(&a).await.unwrap(), Some(node.stat));
    let children = session
        .children(&format!("{root}/x"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (children.names, children.stat.num_children),
        (vec!["a".to_owned(), "b".to_owned()], 2)
    );

    let Set::Done(stat) = session.set(&a, b"3", Some(0)).await.unwrap() else {
        panic!("not set");
    };
    assert_eq!(stat.version, 1);
    assert_eq!(
        session.set(&a, b"4", Some(0)).await.unwrap(),
        Set::BadVersion
    );
    assert_eq!(session.set(&missing, b"", None).await.unwrap(), Set::NoNode);
    assert_eq!(
        session.delete(&a, Some(0)).await.unwrap(),
        Delete::BadVersion
    );
    assert_eq!(
        session.delete(&format!("{root}/x"), None).await.unwrap(),
        Delete::NotEmpty
    );
    assert_eq!(
        session.delete(&missing, None).await.unwrap(),
        Delete::NoNode
    );
    assert_eq!(session.delete(&a, Some(1)).await.unwrap(), Delete::Done);

    assert_eq!(session.get(&missing).await.unwrap(), None);
    assert_eq!(session.children(&missing).await.unwrap(), None);
    assert_eq!(session.exists(&missing).await.unwrap(), None);
    session.sync(&root).await.unwrap();
    assert!(matches!(
        session.get("no/slash").await,
        Err(Error::InvalidPath { .. })
    ));
    assert!(matches!(
        session.set(&b, &vec![0; 2 << 20], None).await,
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(
        session.state(),
        State::Connected,
        "an operation cost the connection"
    );
    session.close().await.unwrap();
    Ok(())
}

async fn a_transaction_is_done_whole_or_not_at_all(version: KafkaVersion) -> Result<()> {
    let session = session(version).await;
    let root = format!("/{}", unique("transaction"));
    let mut writes: Vec<SetData> = (0..3)
        .map(|n| SetData {
            path: format!("{root}/{n}"),
            data: b"new".to_vec(),
            version: Some(0),
        })
        .collect();
    for write in &writes {
        session
            .create_persistent(&write.path, b"old")
            .await
            .unwrap();
    }
    writes[1].version = Some(7);
    assert_eq!(
        session.set_many(&writes).await.unwrap(),
        SetMany::BadVersion { index: 1 }
    );
    assert_eq!(
        session.get(&writes[0].path).await.unwrap().unwrap().data,
        b"old"
    );
    writes[1].version = None;
    match session.set_many(&writes).await.unwrap() {
        SetMany::Done(stats) => assert!(stats.iter().map(|stat| stat.version).eq([1, 1, 1])),
        other => panic!("{other:?}"),
    }
    writes[2] = SetData {
        path: format!("{root}/missing"),
        data: Vec::new(),
        version: None,
    };
    writes[0].version = None;
    assert_eq!(
        session.set_many(&writes).await.unwrap(),
        SetMany::NoNode { index: 2 }
    );
    assert_eq!(
        session.set_many(&[]).await.unwrap(),
        SetMany::Done(Vec::new())
    );
    let many = vec![writes[0].clone(); divvy_zookeeper::MAX_SET_MANY + 1];
    assert!(matches!(
        session.set_many(&many).await,
        Err(Error::TooLarge { .. })
    ));
    session.close().await.unwrap();
    Ok(())
}

async fn a_checked_delete_says_what_was_in_its_way(version: KafkaVersion) -> Result<()> {
    let session = session(version).await;
    let root = format!("/{}", unique("checked"));
    let (node, checked) = (format!("{root}/node"), format!("{root}/checked"));
    let (missing, parent) = (format!("{root}/missing"), root.as_str());
    for path in [&node, &checked] {
        session.create_persistent(path, b"").await.unwrap();
    }
    for (path, version, check, check_version, outcome) in [
        (
            &*node,
            Some(0),
            &*checked,
            Some(1),
            DeleteChecked::CheckBadVersion,
        ),
        (&node, Some(0), &missing, None, DeleteChecked::CheckNoNode),
        (&node, Some(1), &checked, Some(0), DeleteChecked::BadVersion),
        (&missing, None, &checked, Some(0), DeleteChecked::NoNode),
        (parent, None, &checked, None, DeleteChecked::NotEmpty),
    ] {
        let done = session
            .delete_checked(path, version, check, check_version)
            .await;
        assert_eq!(done.unwrap(), outcome);
        assert!(session.exists(&node).await.unwrap().is_some());
    }
    let done = session
        .delete_checked(&node, Some(0), &checked, Some(0))
        .await;
    assert_eq!(done.unwrap(), DeleteChecked::Done);
    assert_eq!(session.exists(&node).await.unwrap(), None);
    assert_eq!(session.state(), State::Connected, "it cost the connection");
    session.close().await.unwrap();
    Ok(())
}

async fn an_ephemeral_node_is_ours_or_somebody_else_s(version: KafkaVersion) -> Result<()> {
    let (ours, theirs) = (session(version).await, session(version).await);
    let node = paths::owner(&unique("group"), "topic", 0);
    let stat = created(ours.create_ephemeral(&node, b"me-0").await.unwrap());
    assert_eq!(stat.ephemeral_owner, ours.id());
    // As after a lost answer: the node says whose it is.
    assert_eq!(
        ours.create_ephemeral(&node, b"me-0").await.unwrap(),
        Create::Created(stat)
    );
    for (session, data) in [(&ours, &b"me-1"[..]), (&theirs, &b"me-0"[..])] {
        match session.create_ephemeral(&node, data).await.unwrap() {
            Create::Exists(node) => {
                assert_eq!((node.stat, node.data.as_slice()), (stat, &b"me-0"[..]));
            }
            Create::Created(_) => panic!("taken from its owner"),
        }
    }
    assert!(matches!(
        ours.create_ephemeral(&format!("{node}/child"), b"").await,
        Err(Error::NoParent { .. })
    ));
    ours.close().await.unwrap();
    theirs.close().await.unwrap();
    Ok(())
}

async fn brokers_and_topics_are_read_and_created(version: KafkaVersion) -> Result<()> {
    let cluster = shared(version);
    let session = session(version).await;
    let brokers = session.brokers_watched().await.unwrap();
    assert_eq!(brokers.len(), 1);
    let endpoint = brokers[0].plaintext().unwrap();
    let address = format!("{}:{}", endpoint.host, endpoint.port);
    assert_eq!(
        (brokers[0].id, brokers[0].version, address),
        (0, 1, cluster.bootstrap())
    );

    let topic = unique("made-in-zookeeper");
    let mut changes = session.subscribe();
    assert!(!session.topics_watched().await.unwrap().contains(&topic));
    assert_eq!(session.topic_watched(&topic).await.unwrap(), None);
    let assignment = TopicAssignment::deal(&[0], 3, 1, 0, 0).unwrap();
    assert_eq!(
        session.create_topic(&topic, &assignment).await.unwrap(),
        CreatePersistent::Created
    );
    assert_eq!(
        session.create_topic(&topic, &assignment).await.unwrap(),
        CreatePersistent::Exists
    );
    assert_eq!(
        change(&mut changes, &paths::topic(&topic)).await,
        ChangeKind::Created
    );
    let read = session.topic(&topic).await.unwrap().unwrap();
    assert!(
        read.partitions
            .into_iter()
            .eq([(0, vec![0]), (1, vec![0]), (2, vec![0])])
    );
    assert!(session.topics().await.unwrap().contains(&topic));

    // The controller takes it for a topic like any other.
    let led = move || {
        cluster.metadata().is_ok_and(|metadata| {
            let partitions = metadata.topics.get(&topic);
            partitions.is_some_and(|partitions| {
                partitions
                    .values()
                    .all(|partition| partition.leader == Some(0))
            })
        })
    };
    tokio::task::spawn_blocking(move || wait_for(SOON, "leaders of the new topic", led))
        .await
        .unwrap()
        .unwrap();
    session.close().await.unwrap();
    Ok(())
}

async fn an_acl_keeps_others_out(version: KafkaVersion) -> Result<()> {
    let connect = shared(version).zookeeper_connect();
    let secured = zookeeper(Config {
        acl: Acl::Creator,
        auth: vec![Auth::Digest {
            username: "divvy".to_owned(),
            password: "secret".to_owned(),
        }],
        ..Config::new(connect)
    });
    let owner = secured.session().await.unwrap();
    let stranger = session(version).await;
    let node = format!("/{}/node", unique("secured"));
    owner.create_persistent(&node, b"1").await.unwrap();

    assert_eq!(stranger.get(&node).await.unwrap().unwrap().data, b"1");
    for refused in [
        stranger.set(&node, b"2", None).await.unwrap_err(),
        stranger.delete(&node, None).await.unwrap_err(),
        stranger
            .create_ephemeral(&format!("{node}/child"), b"")
            .await
            .unwrap_err(),
        stranger
            .set_many(&[SetData {
                path: node.clone(),
                data: Vec::new(),
                version: None,
            }])
            .await
            .unwrap_err(),
    ] {
        assert!(
            matches!(refused, Error::NoAuth { .. }) && !refused.is_retriable(),
            "{refused}"
        );
    }
    assert!(matches!(
        owner.set(&node, b"2", None).await.unwrap(),
        Set::Done(_)
    ));
    owner.close().await.unwrap();
    stranger.close().await.unwrap();
    Ok(())
}

async fn a_chroot_is_the_root_of_everything(version: KafkaVersion) -> Result<()> {
    let plain = session(version).await;
    let chroot = format!("/{}/kafka", unique("chroot"));
    plain.create_persistent(&chroot, b"").await.unwrap();
    let session = zookeeper(Config::new(shared(version).zookeeper_connect() + &chroot))
        .session()
        .await
        .unwrap();
    let mut changes = session.subscribe();
    assert_eq!(
        session.topics_watched().await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(session.get_watched("/a/b").await.unwrap(), None);
    session.create_persistent("/a/b", b"here").await.unwrap();
    assert_eq!(change(&mut changes, "/a/b").await, ChangeKind::Created);
    assert_eq!(
        plain
            .get(&format!("{chroot}/a/b"))
            .await
            .unwrap()
            .unwrap()
            .data,
        b"here"
    );
    session.close().await.unwrap();
    plain.close().await.unwrap();
    Ok(())
}
