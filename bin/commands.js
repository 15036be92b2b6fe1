// All commands by their ids, as oclif's tools ask for them (`oclif.commands` in package.json).
const {commands} = require('./load.js').load('cli', 'oclif')

exports.commands = Object.fromEntries(Object.entries(commands).map(([id, load]) => [id, load()]))
