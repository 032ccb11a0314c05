"""What the golden data's README says, written out plainly under the authors' names; nothing here imports `savecli`."""
