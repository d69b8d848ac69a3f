//! Every kernel compiles for every generation of cards, on a machine without one.

use super::super::{Compiler, KernelFile, Target};
use std::process::Command;

/// Capabilities that a build is for: A100, RTX 40, H100.
const CAPABILITIES: [u32; 3] = [80, 89, 90];

#[test]
fn every_kernel_compiles_for_every_capability() {
    let compiler = match Compiler::find() {
        Ok(compiler) => compiler,
        Err(missing) => {
            eprintln!("skipped: {missing} ({})", missing.hint.clone().unwrap_or_default());
            return;
        }
    };
    for file in KernelFile::ALL {
        for capability in CAPABILITIES {
            let (ptx, log) = compiler.compile(*file, Target::Ptx(capability)).unwrap();
            let ptx = String::from_utf8(ptx).unwrap();
            assert_eq!(log, "", "{} for {capability}: a remark of the compiler", file.name());
            // The list of kernels is what the file has, neither more nor less.
            let mut found: Vec<&str> =
                ptx.split(".visible .entry ").skip(1).filter_map(|rest| rest.split(['(', '\n']).next()).collect();
            let mut listed = file.kernels().to_vec();
            found.sort_unstable();
            listed.sort_unstable();
            assert_eq!(found, listed, "{}", file.name());
        }
    }
}

/// Registers that a kernel may spill to memory, in bytes a thread: a few are cheaper than fewer threads.
const SPILL: u32 = 64;

#[test]
fn no_kernel_spills_its_registers() {
    let Ok(compiler) = Compiler::find() else {
        eprintln!("skipped: no NVRTC");
        return;
    };
    let ptxas = super::super::nvrtc::library_folders().into_iter().map(|f| f.join("../bin/ptxas")).find(|p| p.exists());
    let Some(ptxas) = ptxas else {
        eprintln!("skipped: no ptxas (scripts/cuda-toolchain.sh --ptxas)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for file in KernelFile::ALL {
        let path = folder.path().join("kernels.ptx");
        let (ptx, _) = compiler.compile(*file, Target::Ptx(90)).unwrap();
        std::fs::write(&path, String::from_utf8(ptx).unwrap().trim_end_matches('\0')).unwrap();
        let run = Command::new(&ptxas).args(["-v", "-arch=sm_90", "-o", "/dev/null"]).arg(&path).output().unwrap();
        let report = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success(), "{report}");
        let mut name = "";
        for line in report.lines() {
            if let Some(rest) = line.split("entry function '").nth(1) {
                name = rest.split('\'').next().unwrap_or_default();
            }
            if let Some(before) = line.split(" bytes spill stores").next().filter(|b| b.len() < line.len()) {
                let spilled: u32 = before.rsplit(' ').next().unwrap().parse().unwrap();
                assert!(spilled <= SPILL, "{name} spills {spilled} bytes a thread");
            }
            // With --nocapture: the table of docs/gpu.md.
            if let Some(used) = line.split("Used ").nth(1) {
                eprintln!("{name}: {used}");
            }
        }
    }
}
