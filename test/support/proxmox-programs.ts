import {mkdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'

/** Words of a call, each ended by NUL; the call by a line of its own. */
export const record =
  'for word in "$(basename "$0")" "$@"; do printf "%s\\000" "$word"; done >>"$HERE/calls"; printf "\\n\\001\\n" >>"$HERE/calls"'

/** The test may have a call fail: `fail` holds its first two words. */
const mayFail =
  '[ -f "$HERE/fail" ] && [ "$(cat "$HERE/fail")" = "$(basename "$0") $1" ] && { echo "it was made to fail" >&2; exit 9; }'

const pvesm = `
case "$1" in
  add)
    type=$2 name=$3; shift 3
    grep -q ": $name\\$" "$HERE/pve/storage.cfg" && { echo "create storage failed: storage ID '$name' already defined" >&2; exit 255; }
    { printf '%s: %s\\n' "$type" "$name"; while [ $# -gt 1 ]; do printf '\\t%s %s\\n' "\${1#--}" "$2"; shift 2; done; echo; } >>"$HERE/pve/storage.cfg" ;;
  set)
    awk -v name="$2" -v nodes="$4" 'BEGIN {RS=""; ORS="\\n\\n"} $2 == name {sub(/nodes [^\\n]*/, "nodes " nodes)} {print}' "$HERE/pve/storage.cfg" >"$HERE/pve/new" && mv "$HERE/pve/new" "$HERE/pve/storage.cfg" ;;
  remove)
    awk -v name="$2" 'BEGIN {RS=""; ORS="\\n\\n"} $2 != name' "$HERE/pve/storage.cfg" >"$HERE/pve/new" && mv "$HERE/pve/new" "$HERE/pve/storage.cfg" ;;
  free)
    file="$HERE/iso/\${2#*:iso/}"
    [ -f "$file" ] || { echo "volume '$2' does not exist" >&2; exit 2; }
    rm "$file" ;;
esac`

const qm = `
vm="$HERE/vm-$2"
case "$1" in
  create) [ -f "$vm" ] && { echo "unable to create VM $2 - VM $2 already exists on node" >&2; exit 255; }
    shift 2; while [ $# -gt 1 ]; do printf '%s: %s\\n' "\${1#--}" "$2" | sed '/^description/s/ /%20/2g' >>"$vm.new"; shift 2; done; mv "$vm.new" "$vm" ;;
  config) [ -f "$vm" ] || { echo "Configuration file 'nodes/x/qemu-server/$2.conf' does not exist" >&2; exit 2; }; cat "$vm" ;;
  importdisk) [ -f "$3" ] || { echo "non-existent or non-regular file" >&2; exit 255; } ;;
  template) echo 'template: 1' >>"$vm" ;;
  destroy) rm "$vm" ;;
esac`

/** Programs of Proxmox VE as far as we call them: they keep what they are told, and write every call down. */
export async function proxmoxPrograms(here: string, pauseSeconds = 0): Promise<void> {
  for (const folder of ['bin', 'pve', 'iso']) await mkdir(join(here, folder), {recursive: true})
  await writeFile(join(here, 'pve', 'storage.cfg'), 'dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl\n\n')
  const wait = pauseSeconds > 0 ? `sleep ${pauseSeconds}\n` : ''
  for (const [name, work] of Object.entries({pvesm, qm, pvecm: ''})) {
    const script = `#!/bin/sh\nHERE='${here}'\n${record}\n${mayFail}\n${wait}${work}\n`
    await writeFile(join(here, 'bin', name), script, {mode: 0o755})
  }
}
