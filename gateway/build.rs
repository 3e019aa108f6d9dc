//! Unpacks Swagger UI, which a crate brings as an archive, so that `src/docs.rs` can embed the three files it needs.

use std::io::{Cursor, Read};
use std::path::Path;

const FILES: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let mut archive = zip::ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED)).expect("an archive");
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        let Some(file) = FILES.into_iter().find(|file| name.ends_with(&format!("/dist/{file}"))) else { continue };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole entry");
        std::fs::write(Path::new(&out).join(file), bytes).expect("a writable folder");
    }
    for file in FILES {
        assert!(Path::new(&out).join(file).exists(), "{file} is not in the archive of Swagger UI");
    }
}
