#!/usr/bin/perl
# Three producers and two consumers. Usage: joinable.pl FOLDER
use strict;
use warnings;

chdir $ARGV[0] or die;
$| = 1;

sub put { my ($name, $text) = @_; open my $f, '>', $name or die $!; syswrite $f, "$text\n" or die $! }

sub producer {
    my ($name) = @_;
    put('food.queue', "$name $_") for 1 .. 5;
    open my $join, '<', 'food.queue.ctl/join' or die $!;
    defined sysread $join, my $answer, 64 or die $!;   # mine are eaten, and so are all others
    print "cook of $name goes home\n";
}

sub consumer {
    my ($name) = @_;
    open my $queue, '<', 'food.queue' or die $!;
    while (sysread $queue, my $food, 4096) {
        print "$name ate $food";
        put('food.queue.ctl/done', 1);
    }
}

sub start {
    my ($work, $name) = @_;
    my $pid = fork;
    return $pid if $pid;
    $work->($name);
    exit;
}

open my $f, '>', 'food.queue' or die $!;
my @consumers = map { start(\&consumer, $_) } qw(egg alex);
my @cooks = map { start(\&producer, $_) } qw(bun bone swill);
waitpid $_, 0 for @cooks;
kill 'TERM', @consumers;
