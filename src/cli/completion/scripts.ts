export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const
export type Shell = (typeof shells)[number]

// Each asks `gpuctl __complete WORD… CURRENT` at a Tab. Nothing that comes back is evaluated: names are the server's.

const bash = `# Completion of gpuctl in bash.
_gpuctl_complete() {
  local line="\${COMP_LINE:0:COMP_POINT}" current word breaks='' before='' directive=''
  local -a words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current="\${words[\${#words[@]}-1]}"
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    case $word in
      '') ;;
      :*) directive="\${word#:}" ;;
      *) COMPREPLY+=("$word") ;;
    esac
  done <<< "$(gpuctl __complete "\${words[@]:1}" 2>/dev/null)"
  case $directive in
    stay) compopt -o nospace ;;
    files | folders)
      local action=-f
      [[ $directive == folders ]] && action=-d
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen $action -- "\${current#--*=}")
      compopt -o filenames
      return
      ;;
  esac
  # Readline replaces only what follows the last of these.
  for word in : = @; do [[ $COMP_WORDBREAKS == *$word* ]] && breaks+=$word; done
  [[ -n $breaks && $current == *[$breaks]* ]] && before="\${current%"\${current##*[$breaks]}"}"
  COMPREPLY=("\${COMPREPLY[@]#"$before"}")
}
complete -F _gpuctl_complete gpuctl
`

const zsh = `#compdef gpuctl
# Completion of gpuctl in zsh.
_gpuctl() {
  local line word about directive
  local -a described space
  for line in "\${(@f)$(gpuctl __complete "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}"; do
    if [[ $line == :* ]]; then directive=\${line#:}; continue; fi
    word=\${line%%$'\\t'*}
    about=\${line#*$'\\t'}
    [[ -n $word ]] && described+=("\${word//:/\\\\:}\${about:+:$about}")
  done
  [[ $directive == stay ]] && space=(-S '')
  (( $#described )) && _describe gpuctl described $space
  [[ $directive == files ]] && _files
  [[ $directive == folders ]] && _files -/
  return 0
}
if [[ \${funcstack[1]} == _gpuctl ]]; then
  _gpuctl "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _gpuctl gpuctl
fi
`

const fish = `# Completion of gpuctl in fish.
function __gpuctl_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    for line in (gpuctl __complete $words "$current" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$current"
            case ':folders'
                __fish_complete_directories "$current"
            case ':*' ''
            case '*'
                echo -- $line
        end
    end
end
complete -c gpuctl -f -a '(__gpuctl_complete)'
`

const powershell = `# Completion of gpuctl in PowerShell.
Register-ArgumentCompleter -Native -CommandName gpuctl -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { "$_" })
  # Before 7.3 an empty argument is not handed to a program.
  $current = if ($wordToComplete -eq '' -and $PSVersionTable.PSVersion -lt [version]'7.3') { '""' } else { "$wordToComplete" }
  foreach ($line in (& gpuctl __complete @words $current 2>$null)) {
    if ($line -eq '' -or $line.StartsWith(':')) { continue }
    $word, $about = $line -split "\`t", 2
    if (-not $about) { $about = $word }
    [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $about)
  }
}
`

export const scripts: Readonly<Record<Shell, string>> = {bash, zsh, fish, powershell}
