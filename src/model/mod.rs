//! Models: where they come from (catalogue, hub, files), what they are made of (config, decoder, LoRA),
//! and how adapters are written and read.
