/**
 * Writes docs/commands: the reference of all commands, one page a topic, from oclif.manifest.json. `--stdout` prints the
 * pages as one JSON object (file name → text) and changes no file.
 */
import {mkdir, readFile, rm, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const folder = join(root, 'docs/commands')
const {commands} = JSON.parse(await readFile(join(root, 'oclif.manifest.json'), 'utf8'))
const {oclif} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

const shown = Object.values(commands)
  .filter(({hidden}) => !hidden)
  .map(command => ({...command, name: command.id.replaceAll(':', ' ')}))
  .sort((a, b) => (a.name < b.name ? -1 : 1))
const topics = Map.groupBy?.(shown, topicOf) ?? grouped(shown)
const pages = {'README.md': index(), 'global-flags.md': globalFlags()}
for (const [topic, members] of topics) pages[`${topic}.md`] = page(topic, members)

if (process.argv.includes('--stdout')) process.stdout.write(JSON.stringify(pages))
else {
  await rm(folder, {recursive: true, force: true})
  await mkdir(folder, {recursive: true})
  for (const [name, text] of Object.entries(pages)) await writeFile(join(folder, name), text)
}

/** Commands of one word share a page. */
function topicOf({name}) {
  return name.includes(' ') ? name.split(' ')[0] : 'gpuctl'
}

/** Map.groupBy, which Node 20 does not have. */
function grouped(all) {
  const map = new Map()
  for (const one of all) map.set(topicOf(one), [...(map.get(topicOf(one)) ?? []), one])
  return map
}

function index() {
  const lines = ['# Commands', '', 'Made from the commands themselves by `npm run manifest`.', '']
  lines.push('Flags that every command has: [global flags](global-flags.md).', '')
  for (const [topic, members] of topics) {
    const {description = ''} = oclif.topics[topic] ?? {}
    lines.push(`## [${topic}](${topic}.md)`, '', ...(description ? [description, ''] : []))
    lines.push('| command | what it does |', '|---|---|')
    for (const {name, summary} of members)
      lines.push(`| [\`${name}\`](${topic}.md#${anchor(name)}) | ${cell(summary)} |`)
    lines.push('')
  }
  return lines.join('\n')
}

function page(topic, members) {
  return [`# gpuctl ${topic === 'gpuctl' ? '' : topic}`.trim(), '', ...members.flatMap(section)].join('\n')
}

function section(command) {
  const {name, summary, description, args, flags, examples = []} = command
  const own = Object.values(flags).filter(({helpGroup, hidden}) => helpGroup !== 'GLOBAL' && !hidden)
  const given = Object.values(args).filter(({hidden}) => !hidden)
  const lines = [`## ${name}`, '', `${summary}`, '']
  lines.push(
    '```',
    ['gpuctl', name, ...given.map(argument), own.length > 0 ? '[flags]' : ''].join(' ').trim(),
    '```',
    '',
  )
  if (description && description !== summary) lines.push(description, '')
  const rows = [
    ...given.map(one => [`\`${one.name.toUpperCase()}\``, one.description, one]),
    ...own.map(one => [`\`${flag(one)}\``, one.description, one]),
  ]
  if (rows.length > 0) {
    lines.push('| | |', '|---|---|')
    for (const [what, said, one] of rows) lines.push(`| ${cell(what)} | ${cell(said)}${notes(one)} |`)
    lines.push('')
  }
  lines.push('```', ...examples.map(one => typed(one, name)), '```', '')
  return lines
}

function globalFlags() {
  const found = new Map()
  for (const {flags} of shown)
    for (const one of Object.values(flags)) if (one.helpGroup === 'GLOBAL' && !one.hidden) found.set(one.name, one)
  const lines = ['# Global flags', '', '| | |', '|---|---|']
  for (const one of [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1)))
    lines.push(`| \`${cell(flag(one))}\` | ${cell(one.description)}${notes(one)} |`)
  return [...lines, ''].join('\n')
}

function argument({name, required, multiple}) {
  const word = `${name.toUpperCase()}${multiple ? '…' : ''}`
  return required ? word : `[${word}]`
}

function flag({name, char, type, helpValue, allowNo}) {
  const long = `--${allowNo ? '[no-]' : ''}${name}`
  return `${char ? `-${char}, ` : ''}${long}${type === 'option' ? ` ${helpValue ?? '<value>'}` : ''}`
}

/** What a flag takes, and whence. */
function notes({options, default: standard, env, required, type}) {
  const parts = [
    required && type === 'option' ? 'required' : '',
    options ? `one of ${options.map(one => `\`${one}\``).join(', ')}` : '',
    standard === undefined || standard === false || standard === '' ? '' : `default \`${standard}\``,
    env ? `env \`${env}\`` : '',
  ].filter(Boolean)
  return parts.length > 0 ? ` (${cell(parts.join('; '))})` : ''
}

function typed(example, name) {
  const line = typeof example === 'string' ? example : example.command
  return line.replaceAll('<%= config.bin %>', 'gpuctl').replaceAll('<%= command.id %>', name)
}

function cell(text = '') {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function anchor(name) {
  return name.replaceAll(' ', '-')
}
