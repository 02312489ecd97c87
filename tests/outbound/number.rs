//! Numbers are looked at, connected and given back; and the program asks a running server for a call.

use super::desk::{CALLEE, Desk, OURS, outbound};
use ringfence::cli::number::{Probed, probe};
use ringfence::cli::world::{self, Folder};
use ringfence::sim::phone::Pickup;
use ringfence::sim::phone::rest::{Answering, OwnNumber};
use std::process::Command;

/// Where a server would be that nobody can reach.
const PUBLIC: &str = "https://bot.invalid";

/// The program, beside a simulated carrier.
struct Program {
    desk: Desk,
    folder: Folder,
}

impl Program {
    async fn open() -> Program {
        let desk = Desk::open(&outbound(&[])).await;
        desk.house.world.rest.own(OwnNumber {
            sid: "PN1".to_string(),
            number: OURS.to_string(),
            voice_url: "https://demo.twilio.com/welcome/voice/".to_string(),
            voice_method: "GET".to_string(),
            ..OwnNumber::default()
        });
        let folder = Folder::new().expect("a folder");
        Program { desk, folder }
    }

    /// Runs it with these words: the exit code, and all that it said.
    async fn run(&self, words: &[&str], more: &[(&str, &str)]) -> (i32, String) {
        let rest = self.desk.house.world.rest.base().to_string();
        let nowhere = ([127, 0, 0, 1], 1).into();
        let plan = outbound(&[]);
        let config = self.folder.path().join("ringfence.toml");
        std::fs::write(&config, world::file(&plan, nowhere, nowhere, &rest)).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command
            .args(words)
            .env_clear()
            .envs(world::variables(&plan));
        command.env("RINGFENCE__SERVER__PUBLIC_URL", PUBLIC);
        command.env("RINGFENCE_ADMIN_TOKEN", self.desk.token());
        command.envs(more.iter().copied());
        if words[0] == "number" {
            command.arg("--config").arg(&config);
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.expect("a thread").expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        (output.status.code().expect("an exit code"), said)
    }

    fn number(&self) -> OwnNumber {
        self.desk.house.world.rest.number(OURS).expect("a number")
    }
}

#[tokio::test]
async fn a_number_is_shown_and_changed_only_when_somebody_says_yes() {
    let program = Program::open().await;
    let (code, said) = program.run(&["number", "show", OURS], &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("GET https://demo.twilio.com/welcome/voice/"),
        "{said}"
    );
    assert!(said.contains("calls do not come to this server"), "{said}");
    let before = program.number();
    let (code, said) = program.run(&["number", "connect", OURS], &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("-> POST https://bot.invalid/twilio/voice"),
        "{said}"
    );
    let undo = "ringfence number disconnect +15005550006 --voice-url https://demo.twilio.com/welcome/voice/ --voice-method GET";
    assert!(
        said.contains(undo) && said.contains("there is no fallback"),
        "{said}"
    );
    assert_eq!(program.number(), before, "nothing was changed");
    let (code, said) = program
        .run(&["number", "connect", OURS, "--yes"], &[])
        .await;
    assert!(code == 1 && said.contains("cannot be reached"), "{said}");
    assert_eq!(program.number(), before, "nobody would have answered there");
}

#[tokio::test]
async fn a_number_is_connected_and_put_back_as_it_was() {
    let program = Program::open().await;
    let before = program.number();
    let fallback = [(
        "RINGFENCE__CARRIER__TWILIO__FALLBACK_URL",
        "https://later.example.net/x.xml",
    )];
    let connect = ["number", "connect", OURS, "--yes", "--force"];
    let (code, said) = program.run(&connect, &fallback).await;
    assert!(code == 0 && said.ends_with("connected\n"), "{said}");
    let now = program.number();
    assert_eq!(now.voice_url, format!("{PUBLIC}/twilio/voice"));
    assert_eq!(now.status_callback, format!("{PUBLIC}/twilio/status"));
    assert_eq!(
        (&*now.voice_method, &*now.fallback_url),
        ("POST", "https://later.example.net/x.xml")
    );
    let (_, said) = program.run(&["number", "show", OURS], &fallback).await;
    assert!(said.contains("calls come to this server"), "{said}");
    let mut disconnect = vec![
        "number",
        "disconnect",
        OURS,
        "--yes",
        "--voice-method",
        "GET",
    ];
    disconnect.extend(["--voice-url", &before.voice_url]);
    let (code, said) = program.run(&disconnect, &[]).await;
    assert_eq!((code, program.number()), (0, before), "{said}");
    let (code, said) = program
        .run(&["number", "disconnect", OURS, "--yes"], &[])
        .await;
    assert!(code == 0 && said.contains("refuses calls"), "{said}");
    assert_eq!(program.number().voice_url, "");
}

#[tokio::test]
async fn what_overrides_the_webhook_is_said_and_what_cannot_work_is_refused() {
    let program = Program::open().await;
    let mut trunked = program.number();
    trunked.trunk = "TK1".to_string();
    program.desk.house.world.rest.own(trunked);
    let (_, said) = program.run(&["number", "show", OURS], &[]).await;
    assert!(said.contains("the trunk TK1 is asked instead"), "{said}");
    for url in ["http://127.0.0.1:8080", "https://localhost:8080"] {
        let here = [("RINGFENCE__SERVER__PUBLIC_URL", url)];
        let (code, said) = program
            .run(&["number", "connect", OURS, "--yes"], &here)
            .await;
        assert!(code == 64 && said.contains("public_url"), "{said}");
    }
    assert_eq!(
        program
            .run(&["number", "show", "+15005550007"], &[])
            .await
            .0,
        1
    );
    assert_eq!(program.run(&["number", "show", "911"], &[]).await.0, 2);
    let stranger = [("TWILIO_AUTH_TOKEN", "wrong")];
    let (code, said) = program.run(&["number", "show", OURS], &stranger).await;
    assert!(code == 1 && said.contains("20003"), "{said}");
}

#[tokio::test]
async fn a_knock_finds_a_server_that_refuses_strangers() {
    let desk = Desk::open(&outbound(&[])).await;
    let door = |path: &str| format!("{}{path}", desk.url());
    assert_eq!(probe(&door("/twilio/voice")).await, Probed::Protected);
    assert_eq!(probe(&door("/elsewhere")).await, Probed::Strange(404));
    let nobody = probe("http://127.0.0.1:1/twilio/voice").await;
    assert!(matches!(nobody, Probed::Unreachable(_)), "{nobody:?}");
}

#[tokio::test]
async fn the_program_asks_a_running_server_for_a_call() {
    let program = Program::open().await;
    let busy = Answering {
        pickup: Pickup::Busy,
        ring_ms: 100,
        ..Answering::default()
    };
    program.desk.house.world.rest.expect(CALLEE, busy);
    let server = program.desk.url();
    let words = ["dial", CALLEE, "--agent", "desk", "--server", &server];
    let (code, said) = program.run(&words, &[]).await;
    assert!(
        code == 0 && said.starts_with("dialled +1415•••0123 for desk: rf-"),
        "{said}"
    );
    let forbidden = [
        "dial",
        "+493012345678",
        "--agent",
        "desk",
        "--server",
        &server,
    ];
    let (code, said) = program.run(&forbidden, &[]).await;
    assert!(code == 1 && said.contains("dial_prefixes"), "{said}");
    let keyless = [("RINGFENCE_ADMIN_TOKEN", "")];
    assert_eq!(program.run(&words, &keyless).await.0, 64);
    assert_eq!(program.run(&["dial", CALLEE], &[]).await.0, 2);
    assert_eq!(program.desk.placed(), 1);
    program.desk.rows().await;
}
