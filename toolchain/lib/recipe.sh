# Running the recipes of recipes/*.sh. Sourced by build.
# shellcheck shell=bash disable=SC2154
#
# A recipe defines build_package, which runs in the unpacked source and installs
# below $stage. It may define unpack_package. It has CC, CXX, AR, RANLIB, $cflags
# (without -O), $jobs, $triple, and the two helpers at the end of this file.

recipe_of() {
  case $1 in
    gcc-*-source) echo recipes/libstdcxx.sh ;;
    *) echo "recipes/$1.sh" ;;
  esac
}

# Unpacks an .orig archive and applies Debian's patches, if those are given too.
unpack_package() {
  tar --strip-components=1 -xf "$1"
  [ $# -gt 1 ] || return 0
  tar -xf "$2"
  local patch _
  while read -r patch _; do
    case $patch in '' | '#'*) continue ;; esac
    patch -p1 --silent --force <"debian/patches/$patch"
  done <debian/patches/series
}

# Fetches, unpacks, builds and installs one package, each in a folder of its own.
run_recipe() {
  local package=$1 log=$work/$1.log start=$SECONDS archives
  archives=$(fetch_locked "$package")
  mkdir -p "$work/source/$package"
  # Not in a condition: set -e would not hold inside.
  set +e
  (
    set -e
    cd "$work/source/$package"
    # shellcheck source=/dev/null
    . "$toolchain_dir/$(recipe_of "$package")"
    # shellcheck disable=SC2086
    unpack_package $archives
    copy_licence
    build_package
  ) >"$log" 2>&1
  local status=$?
  set -e
  [ $status = 0 ] || report_failure "$package" "$log"
  rm -rf "$work/source/$package"
  say "$package $(version_of "$package"): $((SECONDS - start)) s"
}

# The licence texts have to go with the executable.
copy_licence() {
  mkdir -p "$stage/licences/$package"
  find . -maxdepth 1 -type f \( -name 'COPY*' -o -name 'LICEN*' \) -exec cp -t "$stage/licences/$package" {} +
}

report_failure() {
  local kept=$cache_root/build/failed-$1.log
  cp "$2" "$kept"
  grep -nE 'error:|Error |undefined reference' "$2" | head -n 20 >&2 || true
  tail -n 15 "$2" >&2
  die "$1 did not build; the whole log is $kept"
}

# One download at a time: two triples share the folder of archives.
fetch_locked() {
  (
    lock_or_wait "$source_cache/.lock"
    fetch_packages "$@"
  )
}

# --- for the recipes ---

# GNU configure, static library only. Installing with DESTDIR keeps the place of
# the cache out of the library.
run_configure() {
  local host=$gnu_triple
  if [ "$uses_musl" = yes ]; then host=${gnu_triple/%gnu/musl}; fi
  ./configure --host="$host" --prefix=/ --disable-shared --enable-static \
    CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="-O2 $cflags" "$@"
}

# CMake with Ninja, static library only, built and installed. Some projects install
# relative to the prefix and some to its absolute name: DESTDIR catches both.
run_cmake() {
  local -a target=(-DCMAKE_PREFIX_PATH="$stage")
  if [ "$uses_musl" = yes ]; then
    target=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="${triple%%-*}" -DCMAKE_FIND_ROOT_PATH="$stage"
      -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY
      -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY)
  fi
  cmake -G Ninja -S . -B object -Wno-dev "${target[@]}" \
    -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_AR="$(command -v "$AR")" \
    -DCMAKE_RANLIB="$(command -v "$RANLIB")" -DCMAKE_BUILD_TYPE=None \
    -DCMAKE_INSTALL_PREFIX=/toolchain -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_INCLUDEDIR=include \
    -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=OFF "$@"
  ninja -C object -j"$jobs"
  DESTDIR=$PWD/installed ninja -C object install
  cp -a installed/toolchain/. "$stage"
}
