#!/bin/sh
# dracut's init sources it to know whether it may go on to the root file system. It may not.
[ -e /nothing/will/ever/be/here ]
