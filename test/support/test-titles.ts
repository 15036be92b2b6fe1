import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

export interface TestTitle {
  file: string
  title: string
}

/** Names given to `test`, `it` and `describe` in all test files, with what stands between the quotes. */
export function testTitles(): TestTitle[] {
  const files = (readdirSync('test', {recursive: true}) as string[]).filter(path => path.endsWith('.test.ts')).sort()
  const title = /\b(?:test|describe|it)(?:\.\w+)*(?:\([^)'"`]*\))?\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g
  return files.flatMap(path => {
    const file = join('test', path)
    return [...readFileSync(file, 'utf8').matchAll(title)].map(match => ({file, title: match[2] ?? ''}))
  })
}

/** Those that bear the number of a row. */
export function titlesOf(row: string, titles: readonly TestTitle[]): TestTitle[] {
  const number = new RegExp(`(?<![\\w.-])${row.replaceAll('.', '\\.')}(?![\\w]|[.-]\\d)`)
  return titles.filter(({title}) => number.test(title))
}
