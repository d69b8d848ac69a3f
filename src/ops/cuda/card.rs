//! Which cards there are, and what to do where there is none.

use crate::error::{Error, Kind, Result};
use crate::tr;

/// A card as the driver describes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Card {
    /// Its number in `cuda:N`.
    pub ordinal: usize,
    /// NVIDIA's name.
    pub name: String,
    /// Compute capability, 90 for 9.0.
    pub capability: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// CUDA version of the driver, 13000 for 13.0.
    pub driver: u32,
}

/// The least that kernels need: bf16 on tensor cores.
const LEAST_CAPABILITY: u32 = 80;

/// The least driver: the one of CUDA 12.0, whose libraries are the oldest that are looked for.
const LEAST_DRIVER: u32 = 12_000;

impl Card {
    /// That kernels run on it.
    ///
    /// # Errors
    /// `Unsupported` that says what is too old.
    pub fn check(&self) -> Result<()> {
        let Card { name, capability, driver, .. } = self;
        if *capability < LEAST_CAPABILITY {
            let (major, minor) = (capability / 10, capability % 10);
            return Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "{name} has compute capability {major}.{minor}; the kernels need 8.0 (bf16 tensor cores)",
                    "{name} 的计算能力为 {major}.{minor}，内核需要 8.0（bf16 张量核心）"
                ),
            )
            .hint(tr!(
                "use --device cpu, or a card of the Ampere generation or later",
                "请用 --device cpu，或使用 Ampere 及以后的显卡"
            )));
        }
        if *driver < LEAST_DRIVER {
            let (major, minor) = (driver / 1000, driver % 1000 / 10);
            return Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "the NVIDIA driver is too old: it knows CUDA {major}.{minor}, 12.0 is needed",
                    "NVIDIA 驱动过旧：支持 CUDA {major}.{minor}，至少需要 12.0"
                ),
            )
            .hint(tr!(
                "install driver 525 or newer (580 for CUDA 13), or use --device cpu",
                "请安装 525 或更新的驱动（CUDA 13 需要 580），或使用 --device cpu"
            )));
        }
        Ok(())
    }
}

/// All cards of this machine, in the driver's order.
///
/// # Errors
/// Why there are none: a build without CUDA, no driver, a driver that fails, no card.
#[cfg(feature = "cuda")]
pub fn cards() -> Result<Vec<Card>> {
    use cudarc::driver::{result, sys};
    use sys::CUdevice_attribute_enum::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    // SAFETY: this loads the driver's library if there is one.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::new(
            Kind::NotFound,
            tr!("no NVIDIA driver (libcuda) was found", "没有找到 NVIDIA 驱动（libcuda）"),
        )
        .hint(tr!(
            "install NVIDIA's driver, and in a container pass the GPU in (--gpus all); without a GPU use --device cpu",
            "请安装 NVIDIA 驱动；在容器中请传入 GPU（--gpus all）；没有 GPU 时请用 --device cpu"
        )));
    }
    let read = |e| super::gpu::failed("answer", e);
    result::init().map_err(|error| {
        let name = error.error_name().map_or_else(|_| format!("{error:?}"), |n| n.to_string_lossy().into_owned());
        Error::new(Kind::Unsupported, tr!("the NVIDIA driver does not start: {name}", "NVIDIA 驱动无法启动：{name}")).hint(tr!(
            "does nvidia-smi work? After a driver's update the machine must be restarted; without a GPU use --device cpu",
            "nvidia-smi 能运行吗？更新驱动后需要重启；没有 GPU 时请用 --device cpu"
        ))
    })?;
    let mut driver = 0;
    // SAFETY: the driver writes one number.
    unsafe { sys::cuDriverGetVersion(&mut driver) }.result().map_err(read)?;
    let count = result::device::get_count().map_err(read)?;
    (0..count)
        .map(|ordinal| {
            let device = result::device::get(ordinal).map_err(read)?;
            // SAFETY: the device is one that the driver listed.
            let (major, minor, memory) = unsafe {
                (
                    result::device::get_attribute(device, MAJOR).map_err(read)?,
                    result::device::get_attribute(device, MINOR).map_err(read)?,
                    result::device::total_mem(device).map_err(read)?,
                )
            };
            Ok(Card {
                ordinal: ordinal as usize,
                name: result::device::get_name(device).map_err(read)?,
                capability: (10 * major + minor).unsigned_abs(),
                memory: memory as u64,
                driver: driver.unsigned_abs(),
            })
        })
        .collect()
}

/// All cards of this machine: this build has no CUDA.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cuda"))]
pub fn cards() -> Result<Vec<Card>> {
    Err(Error::new(Kind::Unsupported, tr!("this program was built without CUDA", "本程序构建时未启用 CUDA")).hint(tr!(
        "build it with --features cuda, or use --device cpu",
        "请用 --features cuda 构建，或使用 --device cpu"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_is_said() {
        let card = Card { ordinal: 0, name: "T4".into(), capability: 75, memory: 16 << 30, driver: 13_000 };
        assert!(card.check().unwrap_err().message.contains("7.5"));
        let old = Card { capability: 90, driver: 11_080, ..card.clone() };
        assert!(old.check().unwrap_err().message.contains("11.8"));
        assert!(Card { capability: 80, driver: 12_000, ..card }.check().is_ok());
    }
}
