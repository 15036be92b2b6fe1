export interface InstallScript {
  /** Where this server answers, as `https://control:8888`. */
  server: string
  version: string
  /** As Node calls it: `linux-x64`. */
  platform: string
  /** SHA-256 of the archive. */
  checksum: string
}

const leastNode = '20.20.2'

/** The script of `curl http://SERVER/install.sh | sh`. All that is put into it is checked, for a shell reads it. */
export function installScript({server, version, platform, checksum}: InstallScript): string {
  const parts: [string, RegExp][] = [
    [server, /^https?:\/\/(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/],
    [version, /^[0-9A-Za-z.+-]{1,64}$/],
    [platform, /^[a-z0-9]+-[a-z0-9_]+$/],
    [checksum, /^[0-9a-f]{64}$/],
  ]
  for (const [text, grammar] of parts) if (!grammar.test(text)) throw new Error(`${text} cannot stand in a script.`)
  return `#!/bin/sh
# Installs gpuctl ${version} from ${server} below GPUCTL_PREFIX: /usr/local for root, else ~/.local.
# Wants Node ${leastNode} or newer, tar, sha256sum, and curl or wget.
set -eu

server='${server}'
version='${version}'
platform='${platform}'
checksum='${checksum}'
least_node='${leastNode}'

fail() {
  echo "gpuctl is not installed: $*" >&2
  exit 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}

fetch() {
  # As trustworthy as the way on which this script came: its checksum is looked at, the certificate is not.
  if have curl; then
    curl -fsS --insecure -o "$2" "$1"
  elif have wget; then
    wget -q --no-check-certificate -O "$2" "$1"
  else
    fail "there is neither curl nor wget."
  fi
}

main() {
  have node || fail "there is no node in PATH. Install Node $least_node or newer first."
  node -e '
    const [found, least] = [process.versions.node, process.argv[1]].map(text => text.split(".").map(Number))
    const at = least.findIndex((part, index) => part !== found[index])
    process.exit(at === -1 || found[at] > least[at] ? 0 : 1)
  ' "$least_node" || fail "node is $(node --version); $least_node or newer is needed."
  found=$(node -p 'process.platform + "-" + process.arch')
  [ "$found" = "$platform" ] || fail "this machine is $found, and $server has the program for $platform."
  if [ -n "\${GPUCTL_PREFIX:-}" ]; then
    prefix=$GPUCTL_PREFIX
  elif [ "$(id -u)" = 0 ]; then
    prefix=/usr/local
  else
    prefix=$HOME/.local
  fi
  mkdir -p "$prefix/lib" "$prefix/bin"
  work=$(mktemp -d "$prefix/lib/.gpuctl-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' HUP INT TERM
  fetch "$server/install/gpuctl.tar.gz" "$work/gpuctl.tar.gz" || fail "$server does not give the program."
  echo "$checksum  $work/gpuctl.tar.gz" | sha256sum -c - >/dev/null 2>&1 ||
    fail "the program is not the one that the script was written for. Fetch the script again."
  tar -xzf "$work/gpuctl.tar.gz" -C "$work"
  node "$work/gpuctl/bin/run.js" --version >/dev/null || fail "the program does not run here."
  # What runs from the former one may still read it.
  rm -rf "$prefix/lib/gpuctl.former"
  if [ -d "$prefix/lib/gpuctl" ]; then
    mv "$prefix/lib/gpuctl" "$prefix/lib/gpuctl.former"
  fi
  mv "$work/gpuctl" "$prefix/lib/gpuctl"
  ln -sfn ../lib/gpuctl/bin/run.js "$prefix/bin/gpuctl"
  echo "gpuctl $version is installed: $prefix/bin/gpuctl"
  case ":$PATH:" in
  *":$prefix/bin:"*) ;;
  *) echo "Put $prefix/bin into PATH." ;;
  esac
  echo "A GPU machine joins by: gpuctl agent start --server $server"
  echo "You log in by:          gpuctl login $server"
}

main "$@"
`
}
