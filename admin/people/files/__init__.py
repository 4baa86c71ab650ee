"""What people have on their disks: pictures, and what is said of them in files, folders and the pictures themselves.

In: paths. Out: pictures, and `Said` of each.
"""
