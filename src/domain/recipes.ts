import type {Recipes} from './task.ts'

/** All kinds of tasks. */
export const recipes: Recipes = {}
