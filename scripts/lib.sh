# Sourced by the scripts: what they need, installed where it is missing.

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# require_tools: cargo, the linker that it calls, what librdkafka is built with, a JDK (11 or later), and Maven.
require_tools() {
  command -v cargo >/dev/null || fail "cargo is missing: install Rust first, see https://rustup.rs"
  require_system_packages
}

# require_python: Python 3 with venv, into which the tests install PyKafka.
require_python() {
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages "the tests run PyKafka, which needs Python 3 with venv" "Python 3"
  fi
}

# require_tmux: the terminal that the tests look at, and that pictures are taken of.
require_tmux() {
  if ! command -v tmux >/dev/null; then
    install_packages "what the program shows on a terminal is looked at in tmux" tmux
  fi
}

# require_kcat: a client of others that the tests run against the embedded cluster.
require_kcat() {
  if ! command -v kcat >/dev/null; then
    install_packages "the embedded cluster is tested with kcat" kcat
  fi
}

# require_cargo_companions: rustfmt and clippy, which a minimal toolchain lacks.
require_cargo_companions() {
  local component
  for component in rustfmt clippy; do
    if ! cargo "${component#rust}" --version >/dev/null 2>&1; then
      command -v rustup >/dev/null || fail "cargo ${component#rust} is missing, and there is no rustup to add it"
      say "adding $component to the Rust toolchain"
      rustup component add "$component"
    fi
  done
}

require_system_packages() {
  local missing=()
  command -v cc >/dev/null || missing+=("C linker")
  command -v c++ >/dev/null || missing+=("C++ compiler")
  command -v make >/dev/null || missing+=(make)
  has_jdk || missing+=(JDK)
  command -v mvn >/dev/null || missing+=(Maven)
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  install_packages "Rust needs a C linker, librdkafka make and a compiler of C and C++, and a real Kafka cluster a JDK (17) and Maven" "${missing[@]}"
}

# install_packages WHY WHAT…
install_packages() {
  local why=$1
  shift
  command -v apt-get >/dev/null ||
    fail "$why; missing here: $(list "$@"). Install it with this system's package manager and run this again"
  say "missing here: $(list "$@"); installing with apt-get"
  as_root apt-get update
  local package packages=()
  for package in "$@"; do
    case $package in
      "C linker") packages+=(gcc libc6-dev) ;;
      "C++ compiler") packages+=(g++) ;;
      make) packages+=(make) ;;
      tmux) packages+=(tmux) ;;
      kcat) packages+=(kcat) ;;
      JDK) packages+=("$(jdk_package)") ;;
      Maven) packages+=(maven) ;;
      "Python 3") packages+=(python3 python3-venv) ;;
    esac
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
}

list() {
  local IFS=,
  printf '%s' "$*"
}

# The compiler has to be there too: the tests bring a program in Java.
has_jdk() {
  java -version >/dev/null 2>&1 && javac -version >/dev/null 2>&1
}

# Kafka 0.8.2 was made for Java 7, and is known to run on 17.
jdk_package() {
  if apt-cache show openjdk-17-jdk-headless >/dev/null 2>&1; then
    echo openjdk-17-jdk-headless
  else
    echo default-jdk-headless
  fi
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "root is needed for: $* (and there is no sudo)"
  fi
}
