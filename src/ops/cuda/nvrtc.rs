//! NVIDIA's run-time compiler, found when it is needed: CUDA C in, PTX or machine code out. It needs no GPU.

use super::kernels::KernelFile;
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

/// What is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// PTX for cards of this capability and later: 80 is sm_80.
    Ptx(u32),
    /// Machine code for this capability.
    Machine(u32),
}

/// The folder in which libraries are looked for first.
const FOLDER: &str = "LINLY_BENCH_CUDA";

type Create = unsafe extern "C" fn(
    *mut *mut c_void,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
type Size = unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int;
type Get = unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_int;
type Destroy = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
type Version = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;

/// The loaded library. It stays loaded until the process ends.
pub struct Compiler {
    create: Create,
    compile: Compile,
    destroy: Destroy,
    log: (Size, Get),
    ptx: (Size, Get),
    machine: (Size, Get),
    version: (u32, u32),
}

/// A program that is destroyed when it goes.
struct Program<'a> {
    handle: *mut c_void,
    compiler: &'a Compiler,
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from the same library and is used no more.
        unsafe { (self.compiler.destroy)(&mut self.handle) };
    }
}

/// Folders in which the libraries may lie: named by the environment, made by `scripts/cuda-toolchain.sh`, the system's.
pub fn library_folders() -> Vec<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    let made = cache.map(|cache| cache.join("linly-bench-cuda-13.0"));
    let roots = [named(FOLDER), made, named("CUDA_HOME"), named("CUDA_PATH"), Some(PathBuf::from("/usr/local/cuda"))];
    let below = ["", "lib", "lib64", "nvidia/cu13/lib"];
    roots
        .into_iter()
        .flatten()
        .flat_map(|root| below.map(|part| root.join(part)))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// Loads the first library of these names: from the folders, then as the system's loader finds it.
pub(super) fn load(folders: &[PathBuf], names: &[&str]) -> Option<(*mut c_void, PathBuf)> {
    let beside = folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    let paths = beside.filter(|path| path.exists()).chain(names.iter().map(PathBuf::from));
    for path in paths {
        let Ok(name) = CString::new(path.as_os_str().as_encoded_bytes()) else { continue };
        // SAFETY: the name ends with a zero byte. Loading runs the library's own start-up code, as linking would.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if !handle.is_null() {
            return Some((handle, path));
        }
    }
    None
}

impl Compiler {
    /// Finds and loads NVRTC 13 or 12.
    ///
    /// # Errors
    /// `NotFound` that says how to get it.
    pub fn find() -> Result<Compiler> {
        let folders = library_folders();
        let missing = || {
            Error::new(
                Kind::NotFound,
                tr!("NVRTC, CUDA's run-time compiler, was not found", "没有找到 CUDA 的运行时编译器 NVRTC"),
            )
            .hint(tr!(
                "run scripts/cuda-toolchain.sh, or set {FOLDER} to the folder of libnvrtc.so",
                "请运行 scripts/cuda-toolchain.sh，或将 {FOLDER} 设为 libnvrtc.so 所在目录"
            ))
        };
        let (handle, path) =
            load(&folders, &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]).ok_or_else(missing)?;
        // NVRTC opens its headers' library by name alone: it must be loaded already when it is not on the system's path.
        if let Some(folder) = path.parent().filter(|folder| folder.is_dir()) {
            preload_builtins(folder);
        }
        // SAFETY: the types are those of nvrtc.h.
        unsafe {
            let version: Version = symbol(handle, c"nvrtcVersion").ok_or_else(missing)?;
            let (mut major, mut minor) = (0, 0);
            version(&mut major, &mut minor);
            Ok(Compiler {
                create: symbol(handle, c"nvrtcCreateProgram").ok_or_else(missing)?,
                compile: symbol(handle, c"nvrtcCompileProgram").ok_or_else(missing)?,
                destroy: symbol(handle, c"nvrtcDestroyProgram").ok_or_else(missing)?,
                log: pair(handle, c"nvrtcGetProgramLogSize", c"nvrtcGetProgramLog").ok_or_else(missing)?,
                ptx: pair(handle, c"nvrtcGetPTXSize", c"nvrtcGetPTX").ok_or_else(missing)?,
                machine: pair(handle, c"nvrtcGetCUBINSize", c"nvrtcGetCUBIN").ok_or_else(missing)?,
                version: (major.unsigned_abs(), minor.unsigned_abs()),
            })
        }
    }

    /// Major and minor version.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// Compiles a file of kernels. Gives the code, and what the compiler remarked.
    ///
    /// # Errors
    /// `Internal` with the compiler's messages.
    pub fn compile(&self, file: KernelFile, target: Target) -> Result<(Vec<u8>, String)> {
        let architecture = match target {
            Target::Ptx(capability) => format!("--gpu-architecture=compute_{capability}"),
            Target::Machine(capability) => format!("--gpu-architecture=sm_{capability}"),
        };
        let text = |text: String| CString::new(text).map_err(|e| Error::internal(e.to_string()));
        let (source, name) = (text(file.source())?, text(file.name().to_owned())?);
        let options = [text(architecture)?, text("--std=c++17".to_owned())?];
        let options: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        let mut program = Program { handle: std::ptr::null_mut(), compiler: self };
        // SAFETY: all strings end with a zero byte and outlive the calls; no headers are given.
        let result = unsafe {
            let none = std::ptr::null();
            let created = (self.create)(&mut program.handle, source.as_ptr(), name.as_ptr(), 0, none, none);
            if created != 0 {
                return Err(Error::internal(format!("NVRTC does not take {}: error {created}", file.name())));
            }
            (self.compile)(program.handle, options.len() as c_int, options.as_ptr())
        };
        let log = String::from_utf8_lossy(&fetch(program.handle, self.log)).trim_end_matches('\0').trim().to_owned();
        if result != 0 {
            return Err(Error::internal(format!("{} does not compile for {target:?}: {log}", file.name())));
        }
        let code = fetch(program.handle, if matches!(target, Target::Ptx(_)) { self.ptx } else { self.machine });
        Ok((code, log))
    }
}

fn preload_builtins(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b"libnvrtc-builtins.so")
            && let Ok(path) = CString::new(entry.path().as_os_str().as_encoded_bytes())
        {
            // SAFETY: the path ends with a zero byte; the library holds data only.
            unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        }
    }
}

/// A function of a loaded library.
///
/// # Safety
/// `F` is the function's type.
unsafe fn symbol<F: Copy>(handle: *mut c_void, name: &CStr) -> Option<F> {
    // SAFETY: the handle is of a loaded library, the name ends with a zero byte.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    if address.is_null() || size_of::<F>() != size_of::<*mut c_void>() {
        return None;
    }
    // SAFETY: `F` is a function pointer, of the size of an address, and the caller answers for its type.
    Some(unsafe { std::mem::transmute_copy(&address) })
}

/// # Safety
/// The names are those of functions of these types.
unsafe fn pair(handle: *mut c_void, size: &CStr, get: &CStr) -> Option<(Size, Get)> {
    // SAFETY: the caller answers for the types.
    unsafe { Some((symbol(handle, size)?, symbol(handle, get)?)) }
}

/// What a pair of functions gives: its size, then its bytes.
fn fetch(program: *mut c_void, (size, get): (Size, Get)) -> Vec<u8> {
    let mut length = 0;
    // SAFETY: the program lives; the buffer has the length that the library names.
    unsafe {
        size(program, &mut length);
        let mut bytes = vec![0u8; length];
        get(program, bytes.as_mut_ptr().cast());
        bytes
    }
}
