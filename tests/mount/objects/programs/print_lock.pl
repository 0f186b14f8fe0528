#!/usr/bin/perl
# Twelve workers print three lines each, under one lock. Usage: print_lock.pl FOLDER
use strict;
use warnings;
use Fcntl ':flock';

chdir $ARGV[0] or die;
$| = 1;

sub worker {
    my ($number) = @_;
    open my $lock, '<', 'printer.lock' or die $!;
    flock $lock, LOCK_EX or die $!;
    print "worker $number line $_\n" for 1 .. 3;
}

open my $lock, '>', 'printer.lock' or die $!;
for my $i (1 .. 12) {
    next if fork;
    worker($i);
    exit;
}
1 while wait > 0;
