export interface Paint {
  good: (text: string) => string
  bad: (text: string) => string
  waiting: (text: string) => string
  faint: (text: string) => string
  strong: (text: string) => string
}

const same = (text: string) => text
const plain: Paint = {good: same, bad: same, waiting: same, faint: same, strong: same}

/** Colours for one stream, or none of them without loading the library. */
export async function loadPaint(colour: boolean): Promise<Paint> {
  if (!colour) return plain
  const {Chalk} = await import('chalk')
  const chalk = new Chalk({level: 1})
  return {good: chalk.green, bad: chalk.red, waiting: chalk.yellow, faint: chalk.dim, strong: chalk.bold}
}
