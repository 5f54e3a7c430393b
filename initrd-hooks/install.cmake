# What `cmake --install` puts where. DESTDIR is obeyed.
include(GNUInstallDirs)

set(DUMPWRIGHT_LIBEXEC lib/dumpwright)

install(TARGETS dumpwright RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(FILES initrd-hooks/common.sh initrd-hooks/hardware.sh DESTINATION ${DUMPWRIGHT_LIBEXEC})
install(PROGRAMS initrd-hooks/stable-targets DESTINATION ${DUMPWRIGHT_LIBEXEC})
install(PROGRAMS initrd-hooks/standalone/build-initrd DESTINATION ${DUMPWRIGHT_LIBEXEC})
install(PROGRAMS initrd-hooks/kdump/dumpwright-kdump DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(PROGRAMS initrd-hooks/kdump/network-arguments DESTINATION ${DUMPWRIGHT_LIBEXEC})
install(FILES initrd-hooks/kdump/dumpwright-kdump.service initrd-hooks/kdump/dumpwright-kdump-reload.service
  DESTINATION lib/systemd/system)
install(FILES initrd-hooks/kdump/98-dumpwright-kdump.rules DESTINATION lib/udev/rules.d)
install(PROGRAMS initrd-hooks/initramfs-tools/build-initrd-initramfs-tools DESTINATION ${DUMPWRIGHT_LIBEXEC})
install(DIRECTORY initrd-hooks/initramfs-tools/conf/ DESTINATION ${DUMPWRIGHT_LIBEXEC}/initramfs-tools USE_SOURCE_PERMISSIONS)
# Debian's kernels, and kernel-install of others: behind 50-depmod.install.
install(PROGRAMS initrd-hooks/kdump/kernel-install DESTINATION /etc/kernel/postinst.d RENAME dumpwright)
install(PROGRAMS initrd-hooks/kdump/kernel-install DESTINATION /etc/kernel/postrm.d RENAME dumpwright)
install(PROGRAMS initrd-hooks/kdump/kernel-install DESTINATION lib/kernel/install.d RENAME 60-dumpwright.install)
install(PROGRAMS initrd-hooks/dracut/build-initrd-dracut initrd-hooks/dracut/build-initrd-dracut-systemd DESTINATION ${DUMPWRIGHT_LIBEXEC})
install(DIRECTORY initrd-hooks/dracut/55dumpwright DESTINATION lib/dracut/modules.d USE_SOURCE_PERMISSIONS)
install(FILES capture/cli/man/dumpwright.8 initrd-hooks/kdump/dumpwright-kdump.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES capture/cli/man/dumpwright.conf.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The administrator's own is never replaced. May hold the names of servers, so it is for root alone.
install(CODE "
  if(EXISTS \"\$ENV{DESTDIR}/etc/dumpwright.conf\")
    message(STATUS \"Left alone: \$ENV{DESTDIR}/etc/dumpwright.conf\")
  else()
    file(INSTALL DESTINATION /etc TYPE FILE FILES \"${CMAKE_SOURCE_DIR}/initrd-hooks/dumpwright.conf\"
      PERMISSIONS OWNER_READ OWNER_WRITE)
  endif()
")
