/** Which of the options that we use the commands of Proxmox VE 9 take, by the manual pages of qm, pvesm and pvecm. */
export const pveOptions: Record<string, readonly string[]> = {
  'qm create': ['--boot', '--description', '--ide[n]', '--memory', '--name', '--net[n]', '--pool', '--scsi[n]'],
  'qm importdisk': [],
  'qm set': ['--boot', '--description', '--ide[n]', '--memory', '--name', '--net[n]', '--scsi[n]'],
  'qm template': [],
  'qm destroy': [],
  'pvesm add': ['--content', '--export', '--nodes', '--pool', '--server', '--vgname'],
  'pvesm remove': [],
  'pvesm set': ['--nodes'],
  'pvesm free': [],
  'pvecm add': ['--use_ssh'],
}
