import type {Migration} from './migration.ts'

/** Public keys of users. A key may belong to several users, and to each once. */
export const sshKeys: Migration = {
  version: 5,
  name: 'ssh keys',
  statements: ({number, text}) => [
    `CREATE TABLE ssh_keys (number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL,
      owner_id ${text} NOT NULL REFERENCES users (id) ON DELETE CASCADE, name ${text} NOT NULL,
      fingerprint ${text} NOT NULL, UNIQUE (owner_id, fingerprint), UNIQUE (owner_id, name))`,
  ],
}
