//! Stands in for a card in tests: the kernels' own text, compiled as C++ with `emulate.h` and run on the CPU.

use super::device::{Argument, Device, Launch, Recording};
use super::kernels::{Kernel, KernelFile};
use super::product::{AnyRows, Product};
use crate::error::{Error, Kind, Result};
use half::bf16;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Compiled files; their state is static, so one launch runs at a time in the process.
static LIBRARIES: Mutex<Option<HashMap<Text, usize>>> = Mutex::new(None);

/// A file, and a change to its text.
type Text = (KernelFile, Option<Change>);

/// (what is replaced, by what): mistakes that the tests plant.
pub type Change = (&'static str, &'static str);

fn libraries() -> MutexGuard<'static, Option<HashMap<Text, usize>>> {
    LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A card of the CPU's memory. Every buffer ends before a page that may not be touched: a kernel that reads or writes past
/// one ends the test.
pub struct Emulator {
    reversed: bool,
    change: Option<Change>,
    /// Bytes held now, and the most so far.
    held: Mutex<(usize, usize)>,
    /// While work is noted: its launches so far, and whether it can be repeated.
    noted: Mutex<Option<(Vec<Noted>, bool)>>,
    /// Whether work can be noted at all.
    records: bool,
}

/// A launch with its arguments.
type Noted = (Kernel, Launch, Vec<Argument>);

/// Launches that are repeated one by one, as a CUDA graph's are.
struct Repeated {
    reversed: bool,
    change: Option<Change>,
    launches: Vec<Noted>,
}

impl Recording for Repeated {
    fn replay(&self) -> Result<()> {
        let card = Emulator { change: self.change, ..Emulator::counting(self.reversed) };
        self.launches.iter().try_for_each(|(kernel, launch, arguments)| card.launch(*kernel, launch, arguments))
    }
}

type Start = unsafe extern "C" fn(*const u32, *const u32, u32, c_int, *mut *mut c_void) -> c_int;
type Letters = unsafe extern "C" fn() -> *const c_char;

const PAGE: usize = 4096;

/// Whether kernels can be emulated here; prints why not.
pub fn available() -> bool {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        eprintln!("skipped: kernels are emulated on x86-64 Linux only");
        return false;
    }
    if Command::new("g++").arg("--version").output().is_err() {
        eprintln!("skipped: kernels are emulated with g++, which is not installed");
        return false;
    }
    true
}

impl Emulator {
    /// A card whose threads run in order, or the other way round.
    pub fn device(reversed: bool) -> Arc<dyn Device> {
        Arc::new(Emulator::counting(reversed))
    }

    /// The same, whose memory can be asked for.
    pub fn counting(reversed: bool) -> Emulator {
        Emulator { reversed, change: None, held: Mutex::default(), noted: Mutex::default(), records: true }
    }

    /// A card that records nothing.
    pub fn without_recording() -> Arc<dyn Device> {
        Arc::new(Emulator { records: false, ..Emulator::counting(false) })
    }

    /// Most bytes that were held at a time.
    pub fn most_held(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// The same with a mistake in the kernels.
    pub fn mistaken(reversed: bool, change: Change) -> Arc<dyn Device> {
        Arc::new(Emulator { change: Some(change), ..Emulator::counting(reversed) })
    }
}

fn failed(message: String) -> Error {
    Error::new(Kind::Internal, message)
}

fn library(file: KernelFile, change: Option<Change>) -> Result<usize> {
    let mut all = libraries();
    let all = all.get_or_insert_with(HashMap::new);
    if let Some(handle) = all.get(&(file, change)) {
        return Ok(*handle);
    }
    let folder = tempfile::tempdir().map_err(|e| failed(e.to_string()))?;
    let exports: String = file.kernels().iter().map(|name| format!("EXPORT({name})\n")).collect();
    let mut text = file.source();
    if let Some((from, to)) = change {
        assert!(text.contains(from), "{} does not have {from}", file.name());
        text = text.replace(from, to);
    }
    let source = format!("{}\n{text}\n#line 1 \"exports\"\n{exports}", include_str!("emulate.h"));
    let (input, output) = (folder.path().join("kernels.cpp"), folder.path().join("kernels.so"));
    std::fs::write(&input, source).map_err(|e| failed(e.to_string()))?;
    let run = Command::new("g++")
        .args(["-std=c++17", "-O1", "-fPIC", "-shared", "-fno-strict-aliasing", "-ffp-contract=off", "-w", "-o"])
        .args([&output, &input])
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !run.status.success() {
        return Err(failed(format!("{}: {}", file.name(), String::from_utf8_lossy(&run.stderr))));
    }
    let path = CString::new(output.as_os_str().as_encoded_bytes()).map_err(|e| failed(e.to_string()))?;
    // SAFETY: the library was just made here.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) } as usize;
    if handle == 0 {
        return Err(failed(format!("{} does not load", file.name())));
    }
    all.insert((file, change), handle);
    Ok(handle)
}

fn find(handle: usize, name: String) -> Result<*mut c_void> {
    let text = CString::new(name.clone()).map_err(|e| failed(e.to_string()))?;
    // SAFETY: the handle is of a loaded library.
    let address = unsafe { libc::dlsym(handle as *mut c_void, text.as_ptr()) };
    if address.is_null() { Err(failed(format!("no {name}"))) } else { Ok(address) }
}

impl Device for Emulator {
    fn allocate(&self, bytes: usize) -> Result<u64> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (held.0 + bytes, held.1.max(held.0 + bytes));
        let room = bytes.next_multiple_of(PAGE) + PAGE;
        // SAFETY: fresh pages, the last of which is closed.
        unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let start = libc::mmap(std::ptr::null_mut(), room, protection, flags, -1, 0);
            if start == libc::MAP_FAILED {
                return Err(Error::new(Kind::OutOfMemory, "mmap"));
            }
            libc::mprotect(start.add(room - PAGE), PAGE, libc::PROT_NONE);
            // Numbers that nobody wrote are NaNs.
            libc::memset(start, 0xff, room - PAGE);
            Ok(start as u64 + (room - PAGE - bytes.next_multiple_of(16)) as u64)
        }
    }

    fn free(&self, address: u64, bytes: usize) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).0 -= bytes;
        let room = bytes.next_multiple_of(PAGE) + PAGE;
        let start = address as usize / PAGE * PAGE;
        // SAFETY: the pages came from `allocate` with the same size.
        unsafe { libc::munmap(start as *mut c_void, room) };
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: callers write into their buffer.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
        Ok(())
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: callers read from their buffer.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn clear(&self, at: u64, bytes: usize) -> Result<()> {
        // SAFETY: callers clear their buffer.
        unsafe { std::ptr::write_bytes(at as *mut u8, 0, bytes) };
        Ok(())
    }

    fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        // SAFETY: callers copy between their buffers.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes) };
        Ok(())
    }

    fn record(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<Option<Box<dyn Recording>>> {
        if !self.records {
            return Ok(None);
        }
        let noted = || self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        *noted() = Some((Vec::new(), true));
        let done = work();
        let (launches, whole) = noted().take().unwrap_or_default();
        done?;
        let repeated = Repeated { reversed: self.reversed, change: self.change, launches };
        Ok(whole.then(|| Box::new(repeated) as Box<dyn Recording>))
    }

    fn launch(&self, kernel: Kernel, launch: &Launch, arguments: &[Argument]) -> Result<()> {
        if let Some((launches, _)) = &mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner) {
            launches.push((kernel, *launch, arguments.to_vec()));
            return Ok(());
        }
        let name = kernel.name;
        let handle = library(kernel.file, self.change)?;
        let (start, letters) = (find(handle, format!("launch_{name}"))?, find(handle, format!("arguments_{name}"))?);
        let expected: String = arguments
            .iter()
            .map(|a| match a {
                Argument::Address(_) => 'p',
                Argument::U32(_) => 'u',
                Argument::U64(_) => 'l',
                Argument::F32(_) => 'f',
                Argument::F64(_) => 'd',
            })
            .collect();
        // SAFETY: both functions were exported with these types.
        let (start, found) = unsafe {
            let letters = std::mem::transmute::<*mut c_void, Letters>(letters);
            let found = CStr::from_ptr(letters()).to_string_lossy().into_owned();
            (std::mem::transmute::<*mut c_void, Start>(start), found)
        };
        if found != expected {
            return Err(failed(format!("{name} takes {found}, is given {expected}")));
        }
        let mut words: Vec<u64> = arguments.iter().map(|a| a.bits()).collect();
        let mut addresses: Vec<*mut c_void> = words.iter_mut().map(|w| std::ptr::from_mut(w).cast()).collect();
        let _one_at_a_time = libraries();
        // SAFETY: arguments have the kernel's types; the kernel checks its own indices against closed pages.
        let result = unsafe {
            let shared = launch.shared;
            start(launch.grid.as_ptr(), launch.block.as_ptr(), shared, self.reversed.into(), addresses.as_mut_ptr())
        };
        match result {
            0 => Ok(()),
            1 => Err(failed(format!("{name}: threads wait for each other without end"))),
            2 => Err(failed(format!("{name}: shared memory was overrun"))),
            _ => Err(failed(format!("{name}: a launch that no card takes"))),
        }
    }

    fn multiply(&self, p: &Product<'_>) -> Result<()> {
        p.check()?;
        if let Some((_, whole)) = &mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner) {
            // Only launches are repeated here: whoever records must be able to do without.
            *whole = false;
            return Ok(());
        }
        let at = |rows: AnyRows<'_>, row: usize, column: usize| row * rows.stride() as usize + column;
        // SAFETY: the product's rows were checked against their buffers.
        let number = |rows: AnyRows<'_>, row: usize, column: usize| unsafe {
            match rows {
                AnyRows::Bf16(r) => (*(r.address() as *const bf16).add(at(rows, row, column))).to_f32(),
                AnyRows::F32(r) => *(r.address() as *const f32).add(at(rows, row, column)),
            }
        };
        // Both operands with the common dimension innermost: products of tests are large enough for it to matter.
        let gather = |rows: AnyRows<'_>, count: usize, turned: bool| -> Vec<f32> {
            let one = |row: usize, k: usize| if turned { number(rows, k, row) } else { number(rows, row, k) };
            (0..count).flat_map(|row| (0..p.k).map(move |k| (row, k))).map(|(row, k)| one(row, k)).collect()
        };
        let (left, right) = (gather(p.a, p.m, p.a_transposed), gather(p.b, p.n, !p.b_transposed));
        for row in 0..p.m {
            for column in 0..p.n {
                let (a, b) = (&left[row * p.k..][..p.k], &right[column * p.k..][..p.k]);
                let sum = a.iter().zip(b).fold(0.0f32, |sum, (a, b)| sum + a * b);
                let start = if p.beta == 0.0 { 0.0 } else { p.beta * number(p.start.unwrap_or(p.out), row, column) };
                let value = p.alpha * sum + start;
                let at = at(p.out, row, column);
                // SAFETY: as above.
                unsafe {
                    match p.out {
                        AnyRows::Bf16(rows) => *(rows.address() as *mut bf16).add(at) = bf16::from_f32(value),
                        AnyRows::F32(rows) => *(rows.address() as *mut f32).add(at) = value,
                    }
                }
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        "emulator".to_owned()
    }

    fn memory(&self) -> Option<(u64, u64)> {
        None
    }
}
