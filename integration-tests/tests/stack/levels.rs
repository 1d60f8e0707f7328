//! What is logged, changed while the process runs.

use std::time::Duration;

use harness::{Specimens, eventually, health};
use mesh::Refusal;
use proto::mesh::SetLogLevelRequest;
use proto::mesh::mesh_service_client::MeshServiceClient;
use tonic::Code;

use super::{echo, proto_duration, reason};

/// What the mesh says of each call at DEBUG.
const SAID: &str = "SpecimenService/Echo ended";

fn levels(levels: &str, duration: Option<Duration>) -> SetLogLevelRequest {
    SetLogLevelRequest { levels: levels.to_owned(), duration: duration.and_then(proto_duration) }
}

/// How often a call was spoken of.
fn said(specimens: &mut Specimens) -> anyhow::Result<usize> {
    Ok(specimens.process(0)?.output().matches(SAID).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_are_changed_for_a_while_and_are_what_they_were_afterwards() -> anyhow::Result<()> {
    let mut specimens = Specimens::start(1).await?;
    let mut mesh = MeshServiceClient::new(health::connect(specimens.address(0)?).await?);
    let mut client = specimens.plain(0).await?;
    client.echo(echo(Default::default())).await?;

    let answer = mesh.set_log_level(levels("info,mesh=debug", Some(Duration::from_secs(5)))).await?.into_inner();
    assert_eq!((answer.levels.as_str(), answer.previous_levels.as_str()), ("info,mesh=debug", "info"));
    client.echo(echo(Default::default())).await?;
    eventually("the call is spoken of", async || {
        anyhow::ensure!(said(&mut specimens)? == 1, "{}", specimens.process(0)?.output());
        Ok(())
    })
    .await;
    eventually("it is over", async || {
        let output = specimens.process(0)?.output();
        anyhow::ensure!(output.contains("the log levels are info again"), "{output}");
        Ok(())
    })
    .await;

    client.echo(echo(Default::default())).await?;
    let now = mesh.set_log_level(levels("warn", None)).await?.into_inner();
    assert_eq!(now.previous_levels, "info");
    assert_eq!(said(&mut specimens)?, 1);
    let first = mesh.set_log_level(levels("", None)).await?.into_inner();
    assert_eq!((first.levels.as_str(), first.previous_levels.as_str()), ("info", "warn"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_and_times_that_make_no_sense_are_refused_with_the_field() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;
    let mut mesh = MeshServiceClient::new(health::connect(specimens.address(0)?).await?);

    let day = Duration::from_secs(24 * 3600);
    let negative = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    for (request, field) in [
        (levels("loud", None), "levels"),
        (levels("info,mesh=loud", None), "levels"),
        (levels("info", Some(Duration::ZERO)), "duration"),
        (levels("info", Some(day + Duration::from_secs(1))), "duration"),
        (SetLogLevelRequest { levels: "info".to_owned(), duration: negative }, "duration"),
    ] {
        let refused = mesh.set_log_level(request.clone()).await.expect_err("it makes no sense");

        assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned()), "{request:?}");
        let fields = Refusal::fields(&refused);
        assert!(fields.len() == 1 && fields[0].0 == field, "{request:?}: {fields:?}");
    }
    let now = mesh.set_log_level(levels("debug", Some(day))).await?.into_inner();
    assert_eq!(now.previous_levels, "info", "nothing was changed before");
    Ok(())
}
