//! Matrix products by cuBLASLt: operands of bf16 or f32, f32 sums.

use super::nvrtc::{library_folders, load};
use super::product::{AnyRows, Product};
use crate::error::{Error, Kind, Result};
use crate::tr;
use cudarc::cublaslt::{result, sys};
use cudarc::driver::sys::CUstream;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

/// What the choice of an algorithm depends on: sizes, strides, how operands lie, number types, whether something is added.
type Shape = ([usize; 3], [u32; 4], [bool; 5]);

/// The loaded library, its workspace, and the algorithms that were chosen.
pub struct Library {
    handle: sys::cublasLtHandle_t,
    workspace: u64,
    chosen: Mutex<HashMap<Shape, sys::cublasLtMatmulAlgo_t>>,
}

/// Bytes that the addresses of all matrices are multiples of.
const ALIGNMENT: u32 = 16;

/// Where the library is told so.
const ALIGNMENTS: [sys::cublasLtMatmulPreferenceAttributes_t; 4] = [
    sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
    sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
    sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
    sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
];

fn failed(error: &result::CublasError) -> Error {
    Error::new(Kind::Internal, tr!("cuBLASLt failed: {error}", "cuBLASLt 出错：{error}"))
}

/// Descriptors of one product, given back when they go.
struct Descriptors {
    product: sys::cublasLtMatmulDesc_t,
    layouts: [sys::cublasLtMatrixLayout_t; 4],
    preference: sys::cublasLtMatmulPreference_t,
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: each was made by the library and is used no more; null ones were never made.
        unsafe {
            if !self.product.is_null() {
                let _ = result::destroy_matmul_desc(self.product);
            }
            for layout in self.layouts {
                if !layout.is_null() {
                    let _ = result::destroy_matrix_layout(layout);
                }
            }
            if !self.preference.is_null() {
                let _ = result::destroy_matmul_pref(self.preference);
            }
        }
    }
}

impl Library {
    /// Bytes of scratch memory that algorithms may use: what NVIDIA advises for Hopper.
    pub const WORKSPACE: usize = 32 << 20;

    /// Finds and loads cuBLASLt. A card's context is current.
    ///
    /// # Errors
    /// `NotFound` that says how to get it.
    pub fn load() -> Result<Library> {
        // Loaded by its path where it does not lie where the system looks; found by its name from then on.
        let found = load(&library_folders(), &["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"]);
        // SAFETY: this looks for the library by its names.
        if found.is_none() || !unsafe { sys::is_culib_present() } {
            return Err(Error::new(Kind::NotFound, tr!("cuBLASLt was not found", "没有找到 cuBLASLt")).hint(tr!(
                "run scripts/cuda-toolchain.sh --all, or install CUDA's libraries, or use --device cpu",
                "请运行 scripts/cuda-toolchain.sh --all，或安装 CUDA 库，或使用 --device cpu"
            )));
        }
        Ok(Library { handle: std::ptr::null_mut(), workspace: 0, chosen: Mutex::default() })
    }

    /// Starts the library with [`Library::WORKSPACE`] bytes at an address. A card's context is current.
    ///
    /// # Errors
    /// Those of the library.
    pub fn with_workspace(self, workspace: u64) -> Result<Library> {
        let handle = result::create_handle().map_err(|e| failed(&e))?;
        Ok(Library { handle, workspace, ..self })
    }

    /// Does a product on a stream. The library's matrices are column-major, so a row-major result is made as its
    /// transpose: outᵀ [n, m] = bᵀ · aᵀ, for which `b` comes first and a row stride is a leading dimension.
    ///
    /// # Errors
    /// Those of the library, and operands that lie outside their buffers.
    pub fn multiply(&self, p: &Product<'_>, stream: CUstream) -> Result<()> {
        p.check()?;
        use sys::cublasLtMatmulDescAttributes_t::{CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB};
        use sys::cudaDataType_t::{CUDA_R_16BF, CUDA_R_32F};
        let kind = |rows: AnyRows<'_>| if rows.is_f32() { CUDA_R_32F } else { CUDA_R_16BF };
        let place = |rows: AnyRows<'_>| (rows.address(), rows.stride());
        let (out_type, in_type) = (kind(p.out), kind(p.a));
        let (out, out_stride) = place(p.out);
        let (start, start_stride) = place(p.start.unwrap_or(p.out));
        let (m, n, k) = (p.m as u64, p.n as u64, p.k as u64);
        let mut d = Descriptors {
            product: std::ptr::null_mut(),
            layouts: [std::ptr::null_mut(); 4],
            preference: std::ptr::null_mut(),
        };
        let mut run = || -> std::result::Result<(), result::CublasError> {
            // Of f32 operands too: the parity path wants every bit of them, not TF32's ten.
            let compute = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
            d.product = result::create_matmul_desc(compute, CUDA_R_32F)?;
            // SAFETY: attributes are written with their own types; layouts describe memory that was checked.
            unsafe {
                // 1: the operand is used transposed. `b` [k, n] row-major is [n, k] to the library, what it wants.
                for (attribute, transposed) in
                    [(CUBLASLT_MATMUL_DESC_TRANSA, p.b_transposed), (CUBLASLT_MATMUL_DESC_TRANSB, p.a_transposed)]
                {
                    let value = i32::from(transposed);
                    let value = std::ptr::from_ref(&value).cast();
                    result::set_matmul_desc_attribute(d.product, attribute, value, size_of::<i32>())?;
                }
                let layout = |rows, columns, stride: u32, kind| {
                    result::create_matrix_layout(kind, rows, columns, i64::from(stride))
                };
                let (rows, columns) = if p.b_transposed { (k, n) } else { (n, k) };
                d.layouts[0] = layout(rows, columns, p.b.stride(), in_type)?;
                let (rows, columns) = if p.a_transposed { (m, k) } else { (k, m) };
                d.layouts[1] = layout(rows, columns, p.a.stride(), in_type)?;
                d.layouts[2] = layout(n, m, start_stride, out_type)?;
                d.layouts[3] = layout(n, m, out_stride, out_type)?;
                let shape = (
                    [p.m, p.n, p.k],
                    [p.a.stride(), p.b.stride(), out_stride, start_stride],
                    [p.a_transposed, p.b_transposed, p.a.is_f32(), p.out.is_f32(), start == out],
                );
                let known = self.chosen.lock().unwrap_or_else(PoisonError::into_inner).get(&shape).copied();
                let algorithm = match known {
                    Some(algorithm) => algorithm,
                    None => {
                        d.preference = result::create_matmul_pref()?;
                        let limit = Library::WORKSPACE;
                        let attribute =
                            sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
                        let value = std::ptr::from_ref(&limit).cast();
                        result::set_matmul_pref_attribute(d.preference, attribute, value, size_of::<usize>())?;
                        // Columns of wider matrices begin at any multiple of 16 bytes; 256 would be assumed.
                        for attribute in ALIGNMENTS {
                            let value = std::ptr::from_ref(&ALIGNMENT).cast();
                            result::set_matmul_pref_attribute(d.preference, attribute, value, size_of::<u32>())?;
                        }
                        let [b, a, c, out] = d.layouts;
                        let chosen =
                            result::get_matmul_algo_heuristic(self.handle, d.product, b, a, c, out, d.preference)?;
                        // The same algorithm for the same shape: the result repeats to the bit.
                        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).insert(shape, chosen.algo);
                        chosen.algo
                    }
                };
                let [b, a, c, to] = d.layouts;
                result::matmul(
                    self.handle,
                    d.product,
                    std::ptr::from_ref(&p.alpha).cast(),
                    std::ptr::from_ref(&p.beta).cast(),
                    p.b.address() as *const c_void,
                    b,
                    p.a.address() as *const c_void,
                    a,
                    start as *const c_void,
                    c,
                    out as *mut c_void,
                    to,
                    &algorithm,
                    self.workspace as *mut c_void,
                    Library::WORKSPACE,
                    stream.cast(),
                )
            }
        };
        run().map_err(|e| failed(&e))
    }
}
