//! Where things are, once everything runs.

use std::net::SocketAddr;

use harness::certificates::{Certificates, OPERATOR};

use crate::say::bold;
use crate::up::Arguments;

/// Prints the links, the addresses and lines that work when pasted.
pub(crate) fn print(arguments: &Arguments, addresses: &[(String, SocketAddr)], certificates: Option<&Certificates>) {
    let products =
        addresses.iter().find(|(label, _)| label == "productsvc").map_or(arguments.productsvc, |(_, address)| *address);
    println!();
    println!("{}", bold("Rundoo is up."));
    println!();
    println!("  pages        {}", bold(&format!("http://{}/", arguments.portal_http)));
    for (label, address) in addresses {
        println!("  {label:<12} {address} (gRPC)");
    }
    println!("  log          {}", arguments.log_file.display());
    println!();
    println!("  Ask it, from another terminal:");
    let protection = match certificates {
        None => "-plaintext".to_owned(),
        Some(own) => {
            let me = own.of(OPERATOR);
            for (name, file) in [("CERT", me.cert), ("KEY", me.key), ("CA", own.ca())] {
                println!("    export RUNDOO_TLS_{name}={}", file.display());
            }
            "-cacert $RUNDOO_TLS_CA -cert $RUNDOO_TLS_CERT -key $RUNDOO_TLS_KEY".to_owned()
        }
    };
    println!("    grpcurl {protection} {products} list");
    println!(
        "    grpcurl {protection} -d '{{\"page_size\": 3}}' {products} rundoo.products.v1.ProductService/ListProducts"
    );
    println!("    grpcurl {protection} {} rundoo.registry.v1.RegistryService/Discover", arguments.registry);
    let moved = if arguments.registry.port() == 5051 {
        String::new()
    } else {
        format!("RUNDOO_REGISTRY={} ", arguments.registry)
    };
    println!("  Without grpcurl: {moved}just call ProductService/ListProducts '{{\"page_size\": 3}}'");
    println!();
    println!("  Ctrl-C stops everything. Below stand only changes of state.");
    println!();
}
