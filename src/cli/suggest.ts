import {type CommandShapes, topicWords, verbGroups} from './words.ts'

const mostGuesses = 3
/** Topics that a verb without one is most likely of. */
const usualTopics = ['instance', 'claim', 'node', 'image']
/** Verbs of docker, incus and slurm that we call otherwise. */
const foreignVerbs: Record<string, string> = {
  run: 'claim:submit',
  launch: 'claim:submit',
  sbatch: 'claim:submit',
  squeue: 'claim:list',
  scancel: 'claim:cancel',
  sinfo: 'node:list',
  inspect: 'instance:get',
  kill: 'instance:stop',
  attach: 'instance:terminal',
  shell: 'instance:terminal',
}

/** At most three commands that may have been meant, likeliest first; none when nothing is near. */
export function suggest(words: readonly string[], commands: CommandShapes): string[] {
  const turned = verbFirst(words, commands)
  if (turned) return [turned]
  const lone = verbAlone(words, commands)
  if (lone.length > 0) return lone
  const typed = words.slice(0, 2).map(word => topicWords[word] ?? word)
  const topics = typed.length === 1 ? [...commands.keys()].map(id => id.slice(0, Math.max(0, id.indexOf(':')))) : []
  const scored = [...new Set([...commands.keys(), ...topics.filter(Boolean)])]
    .map(id => ({id, score: distanceTo(id, typed)}))
    .filter(({id, score}) => score <= Math.max(2, Math.floor(id.length / 3)))
    .sort((a, b) => a.score - b.score || a.id.localeCompare(b.id))
  return scored.slice(0, mostGuesses).map(({id}) => id)
}

/** `get nodes`, as kubectl says it: `node list`. `get node gpu-1`: `node get`. */
function verbFirst([verb = '', noun = '', object]: readonly string[], commands: CommandShapes): string | undefined {
  const topic = topicWords[noun] ?? noun
  const group = verbGroups.find(one => one.includes(verb)) ?? [verb]
  const isList = group.includes('get') && object === undefined
  const candidates = isList ? ['list', ...group] : group
  return candidates.map(one => `${topic}:${one}`).find(id => noun !== '' && commands.has(id))
}

/** `stop train`, as docker says it: `instance stop`, and what else has that verb. */
function verbAlone([verb = '']: readonly string[], commands: CommandShapes): string[] {
  const foreign = Object.hasOwn(foreignVerbs, verb) ? foreignVerbs[verb] : undefined
  if (foreign && commands.has(foreign)) return [foreign]
  const group = verbGroups.find(one => one.includes(verb)) ?? [verb]
  const ids = [...commands.keys()].filter(id => group.includes(id.split(':')[1] ?? '') && id.split(':').length === 2)
  const rank = (id: string) =>
    (usualTopics.indexOf(id.split(':')[0] ?? '') + usualTopics.length + 1) % (usualTopics.length + 1)
  return ids.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b)).slice(0, mostGuesses)
}

function distanceTo(id: string, typed: readonly string[]): number {
  const whole = distance(id, typed.join(':'))
  return typed.length === 1 ? Math.min(whole, distance(id, typed[0] ?? '')) : whole
}

/** Damerau-Levenshtein distance (one swap of neighbours counts one). */
export function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({length: b.length + 1}, (_, at) => at)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const above = rows[i - 1] as number[]
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (rows[i - 2]?.[j - 2] ?? 0) + 1)
      }
      row.push(best)
    }
    rows.push(row)
  }
  return rows[a.length]?.[b.length] ?? 0
}

/** The word of the list that is nearest to what was typed; undefined when none is near. */
export function suggestWord(typed: string, words: readonly string[]): string | undefined {
  const [nearest] = words.map(word => ({word, far: distance(word, typed)})).sort((a, b) => a.far - b.far)
  return nearest && nearest.far <= Math.max(1, Math.floor(nearest.word.length / 3)) ? nearest.word : undefined
}

/** At most three names that may have been meant: those near it, and those that begin with it. */
export function suggestNames(typed: string, names: readonly string[]): string[] {
  const word = typed.toLowerCase()
  return [...new Set(names)]
    .map(name => ({name, far: name.toLowerCase().startsWith(word) ? 0 : distance(name.toLowerCase(), word)}))
    .filter(({name, far}) => far <= Math.max(1, Math.floor(name.length / 3)))
    .sort((a, b) => a.far - b.far || a.name.localeCompare(b.name))
    .slice(0, mostGuesses)
    .map(({name}) => name)
}

/** `Did you mean a or b?`; '' for none. */
export function didYouMean(guesses: readonly string[]): string {
  return guesses.length === 0 ? '' : `Did you mean ${guesses.join(' or ')}?`
}
