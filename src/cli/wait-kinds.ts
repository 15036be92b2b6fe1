/** What `wait` can wait for; waitable.ts says how. Alone here, because completion must start at once. */
export const waitKinds = [
  'backup',
  'claim',
  'image',
  'instance',
  'model',
  'node',
  'pool',
  'runtime',
  'site',
  'spec',
  'task',
] as const
