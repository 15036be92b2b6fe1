import {readdirSync} from 'node:fs'
import {join} from 'node:path'
import {cruise, type ICruiseResult, type IForbiddenRuleType} from 'dependency-cruiser'
import {build} from 'esbuild'
import {loads, rules} from './layers.cjs'

export const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..')

/** All TypeScript files below src/, as paths from the folder that holds src/. */
export function sourceFiles(home: string): string[] {
  const names = readdirSync(join(home, 'src'), {recursive: true, encoding: 'utf8'})
  return names.filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts')).map(name => `src/${name}`)
}

/** Every import below src/ against `rules`. The parser is named, since without it no module at all is read. */
export async function brokenArrows(home: string): Promise<{modules: number; broken: string[]}> {
  const {output} = await cruise(
    ['src'],
    {
      baseDir: home,
      parser: 'swc',
      tsPreCompilationDeps: true,
      doNotFollow: {path: 'node_modules'},
      validate: true,
      ruleSet: {forbidden: rules as IForbiddenRuleType[]},
    },
    {extensions: ['.ts', '.js', '.json'], exportsFields: ['exports'], conditionNames: ['import', 'node', 'default']},
  )
  const {modules, summary} = output as ICruiseResult
  return {
    modules: modules.filter(({source}) => /^src\/.*(?<!\.d)\.ts$/.test(source)).length,
    broken: summary.violations.map(({rule, from, to}) => `${from} → ${to} breaks "${rule.name}"`),
  }
}

/** Every import that is left when esbuild has taken the types away, against `loads`. */
export async function forbiddenLoads(home: string): Promise<string[]> {
  const {metafile} = await build({
    absWorkingDir: home,
    entryPoints: sourceFiles(home),
    outdir: 'unused',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  return Object.entries(metafile.inputs).flatMap(([file, {imports}]) =>
    loads.flatMap(({name, from, forbidden, dynamicToo}) => {
      if (!new RegExp(from).test(file)) return []
      const found = imports.filter(
        ({path, kind}) => new RegExp(forbidden).test(path) && (dynamicToo || kind !== 'dynamic-import'),
      )
      return found.map(({path}) => `${file} → ${path} breaks "${name}"`)
    }),
  )
}
