# Rundoo: a product catalogue on an all-gRPC service mesh.

set positional-arguments := true

# Say what there is
default:
    @just --list --unsorted

# Build and start the four services here; `just up 3` runs three product services, `SEED=none just up` stays empty
up *arguments:
    @cargo build --workspace --bins
    @exec cargo run --quiet --bin rundoo -- up "$@"

# The same with mutual TLS between all processes, a policy, and certificates that are made when missing
up-tls *arguments:
    @cargo build --workspace --bins
    @exec cargo run --quiet --bin rundoo -- up --tls "$@"

# Load the sample catalogue again: rows that are there already change nothing
seed:
    @cargo run --quiet --bin productsvc -- import productsvc/sample/catalogue.csv

# Show the log as it grows; `just logs productsvc --level warn` shows less
logs *arguments:
    @exec cargo run --quiet --bin logsvc -- tail "$@"

# Call any method: just call ProductService/ListProducts '{"page_size": 3}'
call *arguments:
    @exec cargo run --quiet --bin rundoo -- call "$@"

# See in a minute what happens when a product service is killed under load
demo:
    @cargo build --workspace --bins
    @exec cargo run --quiet --bin rundoo -- demo

# Lay down a service of your own where you stand: just new-service price-tags
[no-cd]
new-service *arguments:
    @cargo run --quiet --manifest-path "{{ justfile_directory() }}/Cargo.toml" --bin rundoo -- new-service "$@"

# Ask, then empty data/
reset *arguments:
    @exec cargo run --quiet --bin rundoo -- reset "$@"

# Run every test
test:
    cargo test --workspace

# Check format, lints, docs and tests: what CI runs
check: format-check protos lint docs test

# Format the code
format:
    cargo fmt --all

[private]
format-check:
    cargo fmt --all --check

# Lint the contracts, where buf is installed
protos:
    @if command -v buf >/dev/null; then buf lint; elif [ "${CI:-}" = true ]; then echo "buf is missing" >&2; exit 1; else echo "SKIPPED (1): buf lint. Enable it with: npm install --global @bufbuild/buf"; fi

# Run clippy with warnings as errors
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Build the docs with warnings as errors
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Measure, and compare with the goals: just bench mesh
bench *arguments:
    @cargo build --release --workspace --bins
    @cargo run --release --quiet --bin rundoo -- bench "$@"

# Take the pictures of the portal in docs/images anew; needs chromium
screenshots:
    @cargo build --workspace --bins
    @cargo run --quiet --bin rundoo -- screenshots

# Kill the log service 500 times under load; also: just soak door (100,000 bad passwords), just soak fuzz (nonsense)
soak *arguments:
    @cargo build --release --workspace --bins
    @cargo run --release --quiet --bin rundoo -- soak "$@"
