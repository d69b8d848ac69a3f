//! Background jobs from outside: started, followed, stopped, killed and resumed, by several at once, with exit codes that hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;
mod tiny;

use linly_bench::store::RunStatus;
use linly_bench::workbench::jobs::{self, JobState};
use place::{Place, at_work, ended, figures, kill, signal, train, until, weights};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

/// What lies in the folder of jobs, by the ending of the names.
fn files(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.home().join("jobs")).into_iter().flatten();
    let mut endings: Vec<String> = entries
        .map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.split_once('.').map_or(String::new(), |(_, ending)| ending.to_owned())
        })
        .collect();
    endings.sort();
    endings
}

#[test]
fn a_job_goes_on_without_its_starter_and_is_listed_shown_waited_for_and_removed() {
    let place = Place::with_rows(4);
    // The starter is gone when this returns.
    let id = place.starts(&train("little", 30));
    assert!(id.starts_with("job-") && !id.contains('\n'), "{id}");
    let out = place.run(&format!("jobs wait {id} --json"));
    assert_eq!(out.status.code(), Some(0));
    let view: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&view["state"], &view["exit_code"], &view["job"]),
        (&"finished".into(), &0.into(), &id.as_str().into())
    );
    assert_eq!((&view["progress"]["done"], &view["progress"]["unit"]), (&30.into(), &"steps".into()));
    assert!(view["ended"].is_string() && view["message"].is_null(), "{view}");
    let run = view["runs"][0].as_str().unwrap();
    assert!(place.home().join("adapters/little").is_dir());
    // Progress is in the record by now.
    assert_eq!(files(&place), ["lock", "log"]);

    let list = place.json("jobs list");
    assert_eq!((list[0]["job"].as_str(), list[0]["title"].as_str()), (Some(id.as_str()), Some(&*train("little", 30))));
    let shown = place.succeeds(&format!("jobs show {}", &id[..id.len() - 1]));
    assert!(shown.contains("finished") && shown.contains("30/30 steps") && shown.contains(run), "{shown}");
    let log = place.succeeds(&format!("jobs log {id}"));
    assert!(log.contains("30/30"), "{log}");
    let of_run = place.succeeds(&format!("runs show {run}"));
    assert!(of_run.contains(&id), "it does not say which job made it: {of_run}");
    assert_eq!(place.json(&format!("runs show {run}"))["job"], id);

    assert!(place.fails(1, &format!("jobs stop {id}")).contains("does not run"));
    assert!(place.fails(1, &format!("jobs resume {id}")).contains("finished"));
    assert_eq!(place.json(&format!("jobs remove {id}"))["removed"], serde_json::json!([id]));
    assert_eq!(files(&place), Vec::<String>::new());
    assert_eq!(place.json("jobs list"), serde_json::json!([]));
    place.fails(1, &format!("jobs show {id}"));
    assert_eq!(place.json(&format!("runs show {run}"))["status"], "done", "runs stay");
}

#[test]
fn what_cannot_be_a_job_is_refused_whoever_asks() {
    let place = Place::new(1);
    for line in ["chat --model llama", "tui", "jobs list", "help"] {
        assert_eq!(place.run(&format!("jobs start -- {line}")).status.code(), Some(2), "{line}");
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let error = jobs::start(&place.bench(), &argv, place.dir()).unwrap_err();
        assert_eq!(error.kind, linly_bench::error::Kind::Usage, "{line}");
    }
    assert_eq!(place.run("jobs start -- train --rank many").status.code(), Some(2));
    assert_eq!(place.run("jobs work job-1").status.code(), Some(1), "there is no such job");
    assert!(jobs::list(&place.bench()).unwrap().is_empty() && files(&place).is_empty(), "nothing was begun");
}

#[test]
fn a_job_that_fails_keeps_its_exit_code_and_why() {
    let place = Place::with_rows(1);
    let id = place.starts("train --model llama --data nothing --adapter x");
    assert_eq!(place.run(&format!("jobs wait {id}")).status.code(), Some(1));
    let view = place.json(&format!("jobs show {id}"));
    assert_eq!((&view["state"], &view["exit_code"]), (&"failed".into(), &1.into()));
    assert!(view["message"].as_str().unwrap().contains("nothing"), "{view}");
    let usage = place.starts("train --model llama --data sums --adapter x --rank 0");
    assert_eq!(place.run(&format!("jobs wait {usage}")).status.code(), Some(2));
}

#[test]
fn a_stop_is_heard_from_the_first_moment_on() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    // Sent by whoever knows the process, before it can have done anything.
    for stop in [libc::SIGINT, libc::SIGTERM] {
        for _ in 0..4 {
            let started = place.succeeds(&format!("jobs start --json -- {}", train("x", 4000)));
            let started: Value = serde_json::from_str(&started).unwrap();
            signal(started["pid"].as_u64().unwrap() as u32, stop);
            let view = ended(&bench, started["job"].as_str().unwrap());
            assert_eq!((view.record.state, view.record.exit_code), (JobState::Interrupted, Some(130)));
            assert!(view.record.ended.is_some() && view.record.message.is_some(), "it recorded its end itself");
        }
    }
    let id = place.starts(&train("x", 4000));
    place.succeeds(&format!("jobs stop {id}"));
    assert_eq!(place.run(&format!("jobs wait {id}")).status.code(), Some(130));
    assert!(files(&place).iter().all(|ending| ending == "log" || ending == "lock"), "{:?}", files(&place));
}

#[test]
fn a_stopped_training_goes_on_as_a_new_job_and_ends_as_if_nothing_had_been() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    place.succeeds(&train("straight", 400));
    let straight = place.json("runs list")[0]["run"].as_str().unwrap().to_owned();

    let first = place.starts(&train("stopped", 400));
    let run = at_work(&bench, &first, 10);
    place.succeeds(&format!("jobs stop {first}"));
    assert_eq!(place.run(&format!("jobs wait {first}")).status.code(), Some(130));
    let view = ended(&bench, &first);
    assert!(view.record.message.unwrap().contains("--resume"), "the way on is told");
    assert_eq!(bench.store.run(&run).unwrap().status, RunStatus::Cancelled);

    let second = place.succeeds(&format!("jobs resume {first}")).trim().to_owned();
    assert_eq!(place.run(&format!("jobs wait {second}")).status.code(), Some(0));
    assert!(weights(place.dir(), "stopped") == weights(place.dir(), "straight"), "another adapter");
    assert_eq!(figures(&bench, &run), figures(&bench, &straight));
    assert_eq!(ended(&bench, &second).runs, [run], "it is the same run");

    // What goes on already cannot be gone on with again.
    assert_eq!(ended(&bench, &first).record.resumed_as.as_deref(), Some(second.as_str()));
    assert!(place.fails(1, &format!("jobs resume {first}")).contains(&second));
}

#[test]
fn killed_at_any_moment_a_training_reads_interrupted_and_resumes_to_the_same_adapter() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    place.succeeds(&train("straight", 400));
    // Before the first checkpoint, after some, and twice.
    for (name, kills) in [("early", &[1][..]), ("later", &[20]), ("twice", &[7, 30])] {
        let mut job = place.starts(&train(name, 400));
        let mut runs = Vec::new();
        for steps in kills {
            runs.push(at_work(&bench, &job, *steps));
            kill(&bench, &job);
            let view = place.json(&format!("jobs show {job}"));
            assert_eq!((&view["state"], &view["exit_code"]), (&"interrupted".into(), &Value::Null), "{view}");
            assert!(view["message"].as_str().unwrap().contains(&format!("jobs resume {job}")), "{view}");
            assert!(view["progress"]["done"].as_u64().unwrap() >= *steps, "{view}");
            assert_eq!(place.run(&format!("jobs wait {job}")).status.code(), Some(1));
            assert_eq!(bench.store.run(runs.last().unwrap()).unwrap().status, RunStatus::Interrupted);
            assert!(!place.home().join("adapters").join(name).exists());
            job = place.json(&format!("jobs resume {job}"))["job"].as_str().unwrap().to_owned();
        }
        let view = ended(&bench, &job);
        assert_eq!((view.record.state, view.record.exit_code), (JobState::Finished, Some(0)), "{name}");
        assert!(weights(place.dir(), name) == weights(place.dir(), "straight"), "{name}: another adapter");
        runs.extend(view.runs);
        runs.dedup();
        assert_eq!(runs.len(), 1, "{name}: it is the same run all the time");
    }
    assert!(files(&place).iter().all(|ending| ending == "log" || ending == "lock"), "{:?}", files(&place));
}

#[test]
fn a_killed_score_resumes_to_the_same_answers() {
    let place = Place::new(3000);
    let bench = place.bench();
    let line = "run quiz.toml --model llama --fresh";
    place.succeeds(line);
    let straight = place.json("runs list")[0].clone();
    let job = place.starts(line);
    let run = at_work(&bench, &job, 1);
    kill(&bench, &job);
    let half = bench.store.outcomes(&run).unwrap().len();
    assert!(half < 3000, "it was killed in the middle");
    let next = place.json(&format!("jobs resume {job}"))["job"].as_str().unwrap().to_owned();
    let view = ended(&bench, &next);
    assert_eq!((view.record.exit_code, &view.runs[..]), (Some(0), &[run.clone()][..]));
    let resumed = bench.store.run(&run).unwrap();
    for key in ["acc", "acc_stderr", "n", "prompt_hash"] {
        assert_eq!(resumed.result[key], straight["result"][key], "{key}");
    }
    let answers = |run: &str| {
        let mut all = bench.store.outcomes(run).unwrap();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.into_iter().map(|o| (o.id, o.pred, o.loglikelihoods)).collect::<Vec<_>>()
    };
    assert!(answers(&run) == answers(straight["run"].as_str().unwrap()), "other answers");
}

#[test]
fn a_second_stop_ends_a_job_that_does_not_come_to_a_safe_point() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    let job = place.starts(&train("held", 4000));
    at_work(&bench, &job, 5);
    let pid = process(&bench, &job);
    // Held still, it comes to no safe point between the two.
    signal(pid, libc::SIGSTOP);
    place.succeeds(&format!("jobs stop {job}"));
    place.succeeds(&format!("jobs stop {job}"));
    signal(pid, libc::SIGCONT);
    assert_eq!(place.run(&format!("jobs wait {job}")).status.code(), Some(130));
    let view = place.json(&format!("jobs show {job}"));
    assert_eq!((&view["state"], &view["exit_code"], &view["stops"]), (&"interrupted".into(), &130.into(), &2.into()));
    let message = view["message"].as_str().unwrap();
    assert!(message.contains("safe point") && message.contains("jobs resume"), "{message}");
    assert!(files(&place).iter().all(|ending| ending == "log" || ending == "lock"), "{:?}", files(&place));
    // What was stopped so goes on from its last checkpoint.
    let next = place.json(&format!("jobs resume {job}"))["job"].as_str().unwrap().to_owned();
    at_work(&bench, &next, 5);
    place.succeeds(&format!("jobs stop {next}"));
    assert_eq!(ended(&bench, &next).record.exit_code, Some(130));
}

/// The process of a job that runs.
fn process(bench: &linly_bench::workbench::Workbench, job: &str) -> u32 {
    let record = jobs::show(bench, job).unwrap().record;
    assert_eq!(record.state, JobState::Running);
    record.pid.unwrap()
}

#[test]
fn many_start_at_once_on_one_database() {
    let place = Place::with_rows(1);
    let starters: Vec<_> = (0..6)
        .map(|i| {
            let line = format!("jobs start -- data export sums --format alpaca -o {i}.json");
            place.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut ids: Vec<String> = starters
        .into_iter()
        .map(|child| {
            let out = child.wait_with_output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        })
        .collect();
    let bench = place.bench();
    for id in &ids {
        let view = ended(&bench, id);
        assert_eq!(view.record.exit_code, Some(0), "{:?}", view.record.message);
    }
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), jobs::list(&bench).unwrap().len()), (6, 6));
    assert!((0..6).all(|i| place.dir().join(format!("{i}.json")).is_file()));
    // Two that clear up at the same time do not disturb each other.
    let removers: Vec<_> = (0..2)
        .map(|_| place.command("jobs remove --ended").stderr(Stdio::piped()).spawn().unwrap())
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    assert!(removers.iter().all(|out| out.status.success()), "{removers:?}");
    assert!(jobs::list(&bench).unwrap().is_empty() && files(&place).is_empty());
}

#[test]
fn of_many_who_resume_a_job_at_once_one_does() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    let job = place.starts(&train("once", 300));
    at_work(&bench, &job, 4);
    kill(&bench, &job);
    let line = format!("jobs resume {job}");
    let resumers: Vec<_> =
        (0..5).map(|_| place.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    let outs: Vec<_> = resumers.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let won: Vec<String> = outs
        .iter()
        .filter(|out| out.status.success())
        .map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
        .collect();
    assert_eq!(won.len(), 1, "{outs:?}");
    for out in outs.iter().filter(|out| !out.status.success()) {
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(told.contains(&won[0]), "{told}");
    }
    assert_eq!(ended(&bench, &won[0]).record.exit_code, Some(0));
    assert_eq!(jobs::list(&bench).unwrap().len(), 2, "the others left nothing behind");
    assert_eq!(bench.store.runs(Some("train")).unwrap().len(), 1);
}

#[test]
fn a_resumed_run_belongs_to_its_first_job_again_when_the_second_is_forgotten() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    let first = place.starts(&train("thrice", 300));
    let run = at_work(&bench, &first, 4);
    kill(&bench, &first);
    let second = place.json(&format!("jobs resume {first}"))["job"].as_str().unwrap().to_owned();
    assert_eq!(at_work(&bench, &second, 8), run);
    assert!(place.fails(1, &format!("jobs remove {second}")).contains("runs"), "a running job is not forgotten");
    kill(&bench, &second);
    place.succeeds(&format!("jobs remove {second}"));
    // Otherwise it would begin from the start, as another run.
    let third = place.json(&format!("jobs resume {first}"))["job"].as_str().unwrap().to_owned();
    let view = ended(&bench, &third);
    assert_eq!((view.record.exit_code, &view.runs[..]), (Some(0), &[run][..]));
    // The same is done by whoever resumes the run itself.
    let fourth = place.starts(&train("four", 300));
    let run = at_work(&bench, &fourth, 4);
    kill(&bench, &fourth);
    let fifth = place.starts(&format!("train --resume {run}"));
    assert_eq!(ended(&bench, &fourth).record.resumed_as.as_deref(), Some(fifth.as_str()));
    assert_eq!(ended(&bench, &fifth).record.exit_code, Some(0));
}

#[test]
fn another_process_with_the_number_of_a_job_is_left_alone() {
    let place = Place::new(1);
    let bench = place.bench();
    let mut innocent = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    // As a power cut leaves it: running in the database, and its number is another's by now.
    let argv = ["doctor".to_owned()];
    bench.store.insert_job("job-20260101-000000-0001", &argv, "/", "doctor").unwrap();
    bench.store.set_job_pid("job-20260101-000000-0001", innocent.id()).unwrap();
    assert!(place.fails(1, "jobs stop job-2026").contains("does not run"));
    assert_eq!(place.json("jobs show job-2026")["state"], "interrupted");
    assert!(innocent.try_wait().unwrap().is_none(), "it was signalled");
    innocent.kill().unwrap();
    innocent.wait().unwrap();
}

#[test]
fn a_log_is_followed_to_its_end() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    let job = place.starts(&train("followed", 300));
    let follow = place.command(&format!("jobs log {job} --follow")).stdout(Stdio::piped()).spawn().unwrap();
    let mut as_json = place.command(&format!("jobs log {job} --follow --json")).stdout(Stdio::piped()).spawn().unwrap();
    let followed = follow.wait_with_output().unwrap();
    assert!(followed.status.success());
    assert_eq!(ended(&bench, &job).record.exit_code, Some(0), "it went on to the job's end");
    let whole = std::fs::read_to_string(ended(&bench, &job).log).unwrap();
    assert!(whole.contains("300/300") && String::from_utf8(followed.stdout).unwrap() == whole, "{whole}");
    let mut lines = String::new();
    as_json.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
    assert!(as_json.wait().unwrap().success());
    let pieces = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (text, last) = pieces.fold((String::new(), 0), |(text, at), piece| {
        assert_eq!(piece["from"], at, "nothing is left out");
        (text + piece["text"].as_str().unwrap(), piece["next"].as_u64().unwrap())
    });
    assert!(text == whole && last == whole.len() as u64);
    // A reader that goes away is no error.
    let mut cut = place.command(&format!("jobs log {job}")).stdout(Stdio::piped()).spawn().unwrap();
    drop(cut.stdout.take());
    assert!(cut.wait().unwrap().success());
}

#[test]
fn a_server_is_a_job_that_a_stop_finishes() {
    let place = Place::new(1);
    let bench = place.bench();
    let job = place.starts("serve --model llama --port 0 --json");
    let address = until("the server", || {
        let log = place.succeeds(&format!("jobs log {job}"));
        let line = log.lines().find_map(|line| serde_json::from_str::<Value>(line).ok())?;
        assert_eq!(jobs::show(&bench, &job).unwrap().record.state, JobState::Running, "{log}");
        Some(line["url"].as_str()?.trim_start_matches("http://").to_owned())
    });
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /v1/models HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("llama"), "{answer}");
    place.succeeds(&format!("jobs stop {job}"));
    assert_eq!(place.run(&format!("jobs wait {job}")).status.code(), Some(0), "that is how a server ends");
    assert_eq!(place.json(&format!("jobs show {job}"))["state"], "finished");
    assert!(TcpStream::connect(&address).is_err(), "it is gone");
}

#[test]
fn a_job_whose_folder_is_gone_says_so() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    let elsewhere = place.dir().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let mut start = place.command("jobs start -- data import nothing.jsonl --name x");
    let job = String::from_utf8(start.current_dir(&elsewhere).output().unwrap().stdout).unwrap().trim().to_owned();
    assert_eq!(ended(&bench, &job).record.exit_code, Some(1));
    std::fs::remove_dir(&elsewhere).unwrap();
    assert!(place.fails(1, &format!("jobs resume {job}")).contains("elsewhere"));
    assert_eq!(jobs::list(&bench).unwrap().len(), 1);
    assert_eq!(ended(&bench, &job).record.resumed_as, None, "it can be resumed when the folder is there again");
}
