import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {record} from './proxmox-programs.ts'

const programs: Record<string, string> = {
  dmsetup: '',
  vgs: `
[ "$1" = --version ] && exit 0
[ -f "$HERE/vg" ] || { printf '{"report":[{"vg":[]}]}'; exit; }
. "$HERE/vg"
printf '{"report":[{"vg":[{"vg_name":"%s","vg_size":"268435456","vg_free":"268435456","vg_attr":"wz--n-",' "$name"
printf '"vg_tags":"%s","pv_name":"%s"}]}]}' "$tags" "$device"`,
  lvs: `printf '{"report":[{"lv":[]}]}'`,
  vgcreate: `${record}
[ -f "$HERE/vg" ] && { echo "A volume group called $6 already exists." >&2; exit 5; }
printf 'name=%s device=%s tags=%s\n' "$6" "$7" "$3,$5" >"$HERE/vg"`,
  vgchange: record,
  pvremove: `${record}\nrm -f "$HERE/vg"`,
}

/** Programs of LVM as far as one volume group without volumes goes, beside those of a machine with Proxmox VE. */
export async function lvmPrograms(here: string): Promise<void> {
  for (const [name, work] of Object.entries(programs)) {
    await writeFile(join(here, 'bin', name), `#!/bin/sh\nHERE='${here}'\n${work}\n`, {mode: 0o755})
  }
}
