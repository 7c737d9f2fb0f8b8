# A stand-in for nixpkgs where no network is: each package is a script that runs the program of the
# same name found on $HOST_PATH, and a Python package is an empty directory.
#
# It can show that Mooring's flake parses, that every output evaluates on every system, and that its
# dev shell is entered and has the programs it promises, by name. It can't show that the pinned nixpkgs
# has these packages in fitting versions, that Mooring builds there, or anything about Darwin.
{
  outputs = _:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      genAttrs = names: make:
        builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);

      packagesFor = system:
        let
          build = name: script: buildWith { } name script;
          buildWith = variables: name: script: derivation (variables // {
            inherit name system;
            builder = "/bin/bash"; # `nix develop` wants this name
            outputs = [ "out" ];
            # The last command is a builtin: else a cold build may end with "signal 9" (Nix 2.8).
            args = [ "-c" "PATH=/usr/bin:/bin\n${script}\nexit" ];
          });
          program = name: command: build name ''
            mkdir -p $out/bin
            printf '#!/bin/sh\nPATH=$HOST_PATH\nexec ${command} "$@"\n' > $out/bin/${name}
            chmod +x $out/bin/${name}
          '';
          python3Packages = genAttrs [
            "click" "docker" "hatchling" "jinja2" "msgspec" "pathspec" "peewee" "platformdirs" "pyinfra"
            "pyyaml"
          ] (name: build name "mkdir $out") // {
            buildPythonApplication = arguments:
              program arguments.pname "python3 -m ${arguments.pname}" // arguments;
          };
        in
        genAttrs [ "git" "direnv" ] (name: program name name) // {
          inherit python3Packages;
          python3.withPackages = choose:
            builtins.seq (toString (choose python3Packages)) (program "python3" "python3");
          mkShell = { packages }: buildWith {
            PATH = builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
          } "nix-shell" "echo > $out";
        };
    in
    {
      lib = { inherit genAttrs; };
      legacyPackages = genAttrs systems packagesFor;
    };
}
