import type {Migration} from './migration.ts'

/** What `apply` has made, by whom, and as part of which set of files. */
export const applyMarks: Migration = {
  version: 16,
  name: 'apply marks',
  statements: ({number, text}) => [
    `CREATE TABLE apply_marks (number ${number}, object_id ${text} NOT NULL UNIQUE, owner_id ${text} NOT NULL,
      set_name ${text} NOT NULL)`,
    'CREATE INDEX apply_marks_by_set ON apply_marks (owner_id, set_name)',
  ],
}
