{
  description = "Provisions coding workspaces, and keeps the Claude Code conversation of each resumable";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});

      pyproject = builtins.fromTOML (builtins.readFile ./pyproject.toml);
      # nixpkgs calls each of them as PyPI does.
      packagesOf = requirements: python:
        map (line: python.${builtins.head (builtins.match "([A-Za-z0-9-]+).*" line)}) requirements;
      dependencies = packagesOf pyproject.project.dependencies;

      mooring = pkgs: pkgs.python3Packages.buildPythonApplication {
        pname = pyproject.project.name;
        version = pyproject.project.version;
        pyproject = true;
        src = self;
        build-system = packagesOf pyproject.build-system.requires pkgs.python3Packages;
        dependencies = dependencies pkgs.python3Packages;
        meta = {
          description = pyproject.project.description;
          mainProgram = "mooring";
        };
      };
    in
    {
      packages = each (pkgs: { default = mooring pkgs; });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = [ (pkgs.python3.withPackages dependencies) pkgs.git pkgs.direnv (mooring pkgs) ];
        };
      });
    };
}
