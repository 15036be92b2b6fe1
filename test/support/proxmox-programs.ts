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
    case "$2" in *:backup/*) file="$HERE/dump/\${2#*:backup/}" ;; *) file="$HERE/iso/\${2#*:iso/}" ;; esac
    [ -f "$file" ] || { echo "volume '$2' does not exist" >&2; exit 2; }
    rm -f "$file" "$file.notes" ;;
  list)
    echo 'Volid Format Type Size VMID'
    for file in "$HERE"/dump/*.vma.zst; do
      [ -f "$file" ] || continue
      name=\${file##*/} rest=\${file##*/vzdump-qemu-}
      [ -z "$6" ] || [ "$6" = "\${rest%%-*}" ] || continue
      echo "$2:backup/$name vma.zst backup $(wc -c <"$file") \${rest%%-*}"
    done ;;
  path) echo "$HERE/dump/\${2#*:backup/}" ;;
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
  status) [ -f "$vm.on" ] && echo 'status: running' || echo 'status: stopped' ;;
  start) touch "$vm.on" ;;
  stop) rm -f "$vm.on" ;;
esac`

/** The archive is the configuration of the machine, and has its name when it is whole. One that is ended tidies up. */
const vzdump = `
[ -f "$HERE/vm-$1" ] || { echo "unable to find VM $1" >&2; exit 255; }
mkdir -p "$HERE/dump"
count=$(ls "$HERE/dump" | wc -l)
file="$HERE/dump/vzdump-qemu-$1-2026_01_02-03_04_$(printf %02d "$count").vma"
trap 'rm -f "$file.dat" "$file.zst.notes"; exit 143' TERM
cp "$HERE/vm-$1" "$file.dat"
shift; while [ $# -gt 1 ]; do [ "$1" = --notes-template ] && printf '%s' "$2" >"$file.zst.notes"; shift; done
mv "$file.dat" "$file.zst"`

const qmrestore = `
[ -f "$HERE/dump/\${1#*:backup/}" ] || { echo "volume '$1' does not exist" >&2; exit 2; }
[ -f "$HERE/vm-$2.on" ] && { echo "unable to restore vm $2 - vm is running" >&2; exit 255; }
cp "$HERE/dump/\${1#*:backup/}" "$HERE/vm-$2"`

/** Programs of Proxmox VE as far as we call them: they keep what they are told, and write every call down. */
export async function proxmoxPrograms(here: string, pauseSeconds = 0): Promise<void> {
  for (const folder of ['bin', 'pve', 'iso']) await mkdir(join(here, folder), {recursive: true})
  await writeFile(join(here, 'pve', 'storage.cfg'), 'dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl\n\n')
  const wait = pauseSeconds > 0 ? `sleep ${pauseSeconds}\n` : ''
  for (const [name, work] of Object.entries({pvesm, qm, pvecm: '', vzdump, qmrestore})) {
    const script = `#!/bin/sh\nHERE='${here}'\n${record}\n${mayFail}\n${wait}${work}\n`
    await writeFile(join(here, 'bin', name), script, {mode: 0o755})
  }
}
