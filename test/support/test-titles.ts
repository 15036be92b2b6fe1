import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

export interface TestTitle {
  file: string
  title: string
}

/** Names given to `test`, `it` and `describe` in all test files, with what stands between the quotes. */
export function testTitles(): TestTitle[] {
  const files = (readdirSync('test', {recursive: true}) as string[])
    .filter(path => /\.(test|guest)\.ts$/.test(path))
    .sort()
  const patterns = [
    /\b(?:test|describe|it)(?:\.\w+)*(?:\([^)'"`]*\))?\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g,
    // What begins with the number of a row is a title too, wherever it stands: many are lines of a table.
    /(['"`])(?=[A-Z]\d+[.\d-]*[ :])((?:\\.|(?!\1).)*)\1/g,
  ]
  return files.flatMap(path => {
    const file = join('test', path)
    const text = readFileSync(file, 'utf8')
    const found = patterns.flatMap(pattern => [...text.matchAll(pattern)].map(match => match[2] ?? ''))
    return [...new Set(found)].map(title => ({file, title}))
  })
}

/** Those that bear the number of a row; `W3.7-2` is a part of the row W3.7. */
export function titlesOf(row: string, titles: readonly TestTitle[]): TestTitle[] {
  const parts = /^W\d\.\d$/.test(row) ? '(-\\d+)?' : ''
  const number = new RegExp(`(?<![\\w.-])${row.replaceAll('.', '\\.')}${parts}(?![\\w]|[.-]\\d)`)
  return titles.filter(({title}) => number.test(title))
}
