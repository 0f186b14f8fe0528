# SPDX-License-Identifier: MIT
# Completion of ipcctl for fish: ipcctl itself says how a word may go on.

function __ipcctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program $words[1]
    for line in ($program --complete $words[2..] 2>/dev/null)
        switch $line
            case ':command*'
                __fish_complete_command
            case ':file*'
                __fish_complete_path (commandline -ct)
            case '*'
                echo $line
        end
    end
end

complete -c ipcctl -f -a '(__ipcctl_complete)'
