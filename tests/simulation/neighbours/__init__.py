"""What the processes of a world talk to, and how it fails them: broker, disk, index, states of the learners."""
