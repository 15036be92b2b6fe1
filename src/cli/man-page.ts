import {exitCode} from './exit-codes.ts'
import {type DescribedCommand, flagWord, usageOf} from './manifest.ts'

const global = 'GLOBAL'

/** gpuctl(1) in roff's man macros: all commands of the manifest, with their flags and examples. */
export function manPage(commands: readonly DescribedCommand[], version: string): string {
  const flags = (commands[0] ? Object.values(commands[0].flags) : []).filter(flag => flag.helpGroup === global)
  return [
    `.TH GPUCTL 1 "" "gpuctl ${version}" "User Commands"`,
    '.SH NAME',
    'gpuctl \\- run a fleet of GPU machines from a terminal',
    '.SH SYNOPSIS',
    '.B gpuctl',
    'COMMAND [FLAGS] [ARGUMENTS]',
    '.SH DESCRIPTION',
    plain(
      'A machine asks to join and shows a code; an administrator types it. A claim asks for GPUs, waits in a queue that says why, and becomes a container. `gpuctl up` starts it all on one machine.',
    ),
    '.SH GLOBAL FLAGS',
    ...flags.filter(({hidden}) => !hidden).flatMap(describeFlag),
    '.SH COMMANDS',
    ...commands.flatMap(describeCommand),
    '.SH EXIT STATUS',
    ...Object.entries(exitCode).flatMap(([name, code]) => ['.TP', String(code), plain(spaced(name))]),
    plain('Else the workload’s own code.'),
    '.SH FILES',
    ...['.TP', '~/.config/gpuctl/config.yml', 'Contexts and preferences.'],
    ...['.TP', '/var/lib/gpuctl', 'Data of a server that is installed as a service.'],
    '',
  ].join('\n')
}

function describeCommand(command: DescribedCommand): string[] {
  const {summary, description, examples = [], flags, args} = command
  const own = Object.values(flags).filter(({helpGroup, hidden}) => helpGroup !== global && !hidden)
  return [
    `.SS ${plain(usageOf(command))}`,
    ...[summary, description].filter(text => text !== undefined).flatMap(text => [plain(text), '.PP']),
    ...Object.values(args).flatMap(({name, description = ''}) => [
      '.TP',
      plain(name.toUpperCase()),
      plain(description),
    ]),
    ...own.flatMap(describeFlag),
    ...(examples.length > 0
      ? ['.PP', '.nf', ...examples.map(line => plain(line.replaceAll('<%= config.bin %>', 'gpuctl'))), '.fi']
      : []),
  ]
}

function describeFlag(flag: DescribedCommand['flags'][string]): string[] {
  const env = flag.env ? ` [env: ${flag.env}]` : ''
  return ['.TP', plain(flagWord(flag)), plain(`${flag.description ?? ''}${env}`)]
}

/** Text that roff prints as it stands: no line of it is a request. */
function plain(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/^[.']/, '\\&$&')
}

function spaced(name: string): string {
  return name.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
}
